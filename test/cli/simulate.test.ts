import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { conversationTrace } from '../../bench/conversation-trace.ts'
import { prefixd } from './run.ts'

const folder = mkdtempSync(join(tmpdir(), 'prefixd-simulate-'))
const path = join(folder, 'trace.jsonl')
const requests = conversationTrace({ seed: 3, requests: 1500 })
writeFileSync(path, requests.map((request) => `${JSON.stringify(request)}\n`).join(''))
afterAll(() => rmSync(folder, { recursive: true }))

describe('prefixd simulate', () => {
  it('shows a table and a plot that fit the terminal', async () => {
    const ran = await prefixd(['simulate', path], { width: 80 })
    expect(ran.exit).toBe(0)
    await expect(ran.out).toMatchFileSnapshot('golden/simulate.80.txt')
    expect(ran.out.split('\n').filter((line) => line.length > 80)).toEqual([])
  })

  it('shows its progress on a terminal only', async () => {
    expect((await prefixd(['simulate', path])).err).toBe('')
    const { err } = await prefixd(['simulate', path], { width: 80 })
    expect(err).toContain('reading')
    expect(err).toContain('replaying')
    expect(err).toContain('100%')
  })

  it('takes sizes and policies, and prints JSON', async () => {
    const words = ['--sizes', '10GiB,20GiB', '--policy', 'lru,optimum', '--json']
    const { out, exit } = await prefixd(['simulate', path, ...words])
    expect(exit).toBe(0)
    const found = JSON.parse(out)
    expect(found).toMatchObject({ requests: requests.length })
    const sizes = found.sizes as { size_bytes: number; policies: { policy: string }[] }[]
    expect(sizes.map(({ size_bytes }) => size_bytes)).toEqual([10 * 1024 ** 3, 20 * 1024 ** 3])
    expect(sizes[0]?.policies.map(({ policy }) => policy)).toEqual(['lru', 'optimum'])
  })

  it('counts bytes by --token-bytes where the trace does not say', async () => {
    const bytes = async (tokenBytes: string) => {
      const words = ['simulate', path, '--json', '--token-bytes', tokenBytes]
      return (JSON.parse((await prefixd(words)).out) as { distinct_bytes: number }).distinct_bytes
    }
    expect(await bytes('64KiB')).toBe((await bytes('32KiB')) * 2)
  })

  it('says which line and field is wrong', async () => {
    const broken = join(folder, 'broken.jsonl')
    writeFileSync(broken, `${JSON.stringify(requests[0])}\n{"timestamp": "now"}\n`)
    const ran = await prefixd(['simulate', broken])
    expect(ran).toMatchObject({ exit: 2, out: '' })
    expect(ran.err).toContain('timestamp on line 2 of the trace is "now"')
  })

  it('refuses sizes and policies that are none', async () => {
    for (const words of [
      ['--sizes', '4GiB,lots'],
      ['--policy', 'fifo'],
      ['--sizes', '0'],
    ]) {
      expect(await prefixd(['simulate', path, ...words])).toMatchObject({ exit: 2, out: '' })
    }
  })

  it('ends at Ctrl-C with nothing printed', async () => {
    const ran = await prefixd(['simulate', path], { isInterrupted: true })
    expect(ran).toMatchObject({ exit: 130, out: '' })
  })
})

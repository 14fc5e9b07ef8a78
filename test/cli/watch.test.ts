import { describe, expect, it } from 'vitest'
import { refusal, startFixtureService, statsFixture } from './fixture-service.ts'
import { prefixd } from './run.ts'

/** Stats that grow with every look: 2 requests and 1,000 prompt tokens each time. */
function growing() {
  let looks = 0
  return () => {
    looks += 1
    const { requests, tokens } = statsFixture
    const body = {
      ...statsFixture,
      up_ms: statsFixture.up_ms + looks * 1000,
      requests: { ...requests, total: requests.total + 2 * looks },
      tokens: {
        ...tokens,
        prompt: tokens.prompt + 1000 * looks,
        restored_ram: tokens.restored_ram + 700 * looks,
        restored_ssd: tokens.restored_ssd + 150 * looks,
      },
    }
    return { status: 200, body }
  }
}

const watching = (url: string) => ['stats', '--watch', '--url', url]

describe('prefixd stats --watch', () => {
  it('prints what happened in each interval, with the header repeated every 20 rows', async () => {
    await using service = await startFixtureService({ '/v1/cache/stats': growing() })
    const ran = await prefixd(watching(service.url), { onSleep: (count) => count === 22 })
    const lines = ran.out.trimEnd().split('\n')
    const isHeader = (line: string) => line.startsWith('time')
    expect(lines).toHaveLength(24)
    expect(lines.flatMap((line, index) => (isHeader(line) ? [index] : []))).toEqual([0, 21])
    expect(lines[1]?.trim().split(/ +/).slice(1, 6)).toEqual(['-', '0', '-', '-', '-'])
    expect(lines[2]?.trim().split(/ +/).slice(1)).toEqual([
      ...['2.0', '1000', '85.0', '70.0', '15.0', '0', '11.2', '148'],
    ])
  })

  it('redraws in place on a terminal', async () => {
    await using service = await startFixtureService()
    const ran = await prefixd(watching(service.url), { width: 80, onSleep: (n) => n === 2 })
    expect(ran.out.split('\u001b[H')).toHaveLength(3)
    expect(ran.out.endsWith('\u001b[J')).toBe(true)
  })

  it('prints one JSON object per line with --json', async () => {
    await using service = await startFixtureService()
    const words = [...watching(service.url), '--json']
    const ran = await prefixd(words, { onSleep: (count) => count === 3 })
    const objects = ran.out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(objects).toEqual([statsFixture, statsFixture, statsFixture])
  })

  it('ends at Ctrl-C with exit code 130, and no complaint', async () => {
    await using service = await startFixtureService()
    const ran = await prefixd(watching(service.url))
    expect(ran.exit).toBe(130)
    expect(ran.err.trim()).toBe('')
  })

  it('waits for a service that restarts, and counts from zero then', async () => {
    const restarted = {
      ...statsFixture,
      up_ms: 500,
      requests: { ...statsFixture.requests, total: 3 },
      tokens: { ...statsFixture.tokens, prompt: 0, restored_ram: 0, restored_ssd: 0 },
    }
    const answers = [
      { status: 200, body: statsFixture },
      refusal('PREFIXD_E_ENGINE_STOPPING', 'shutting down'),
      { status: 200, body: restarted },
    ]
    await using service = await startFixtureService({
      '/v1/cache/stats': () => answers.shift() ?? { status: 200, body: restarted },
    })
    const ran = await prefixd(watching(service.url), { onSleep: (count) => count === 3 })
    const last = ran.out.trimEnd().split('\n').at(-1)
    expect(last?.trim().split(/ +/).slice(1, 3)).toEqual(['1.5', '0'])
  })

  it('gives up after three looks without an answer', async () => {
    await using service = await startFixtureService({
      '/v1/cache/stats': refusal('PREFIXD_E_INTERNAL', 'broken'),
    })
    const ran = await prefixd(watching(service.url), { onSleep: (count) => count > 9 })
    expect(ran).toMatchObject({ exit: 1, out: '' })
    expect(service.requests).toHaveLength(3)
  })
})

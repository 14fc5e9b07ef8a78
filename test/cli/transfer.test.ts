import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { refusal, startFixtureService } from './fixture-service.ts'
import { prefixd } from './run.ts'

const folder = mkdtempSync(join(tmpdir(), 'prefixd-transfer-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('prefixd import', () => {
  it.each([[], ['--trust']])('takes no folder for a file, with %j', async (...flags) => {
    await using service = await startFixtureService()
    const ran = await prefixd(['import', folder, ...flags, '--url', service.url])
    expect(ran).toMatchObject({ exit: 2, out: '' })
    expect(ran.err).toContain(`${folder} could not be read: it is a folder`)
    expect(service.requests).toEqual([])
  })

  it('shows on a terminal only how far it is, with --json or not', async () => {
    await using service = await startFixtureService({
      '/v1/cache/import': { status: 200, body: { stored: 1, present: 0, skipped: 0, model: 'm' } },
    })
    const file = join(folder, 'ten.prefixd')
    writeFileSync(file, '1234567890')
    const words = ['import', file, '--json', '--url', service.url]
    const drawn = await prefixd(words, { width: 200 })
    expect(drawn).toMatchObject({ exit: 0, err: expect.stringMatching(/100% {2}10 B of 10 B/) })
    expect(JSON.parse(drawn.out)).toMatchObject({ stored: 1 })
    expect(await prefixd(words)).toMatchObject({ exit: 0, err: '', out: drawn.out })
  })
})

describe('prefixd export', () => {
  it('writes what comes under its name, and nothing beside it', async () => {
    await using service = await startFixtureService({
      '/v1/cache/export': { status: 200, body: 'bytes' },
    })
    const out = join(folder, 'whole.prefixd')
    const ran = await prefixd(['export', '9f2c', '-o', out, '--url', service.url])
    expect(ran).toMatchObject({ exit: 0, err: '' })
    expect(readFileSync(out, 'utf8')).toBe('bytes')
    expect(readdirSync(folder)).not.toContain('whole.prefixd.partial')
  })

  it('asks for nothing where its file cannot be written, and leaves nothing', async () => {
    await using service = await startFixtureService()
    const taken = join(folder, 'taken')
    mkdirSync(taken)
    for (const [out, why] of [
      [join(folder, 'nowhere', 'x'), 'there is no such folder'],
      [taken, 'it is a folder'],
      ['/dev/null', 'it is a device or a pipe'],
    ] as const) {
      const ran = await prefixd(['export', '9f2c', '-o', out, '--url', service.url])
      expect(ran).toMatchObject({ exit: 2, out: '' })
      expect(ran.err).toContain(`--out ${out} could not be written: ${why}`)
    }
    expect(service.requests).toEqual([])
    expect(readdirSync(folder)).not.toContain('taken.partial')
  })

  it('leaves nothing where the service refuses', async () => {
    await using service = await startFixtureService({
      '/v1/cache/export': refusal('PREFIXD_E_PREFIX_NOT_FOUND', 'No prefix begins with ffff.'),
    })
    const out = join(folder, 'none.prefixd')
    const ran = await prefixd(['export', 'ffff', '-o', out, '--url', service.url])
    expect(ran).toMatchObject({ exit: 4, out: '' })
    expect(readdirSync(folder).filter((name) => name.startsWith('none'))).toEqual([])
  })
})

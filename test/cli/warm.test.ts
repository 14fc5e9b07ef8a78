import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { refusal, startFixtureService } from './fixture-service.ts'
import { prefixd } from './run.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'prefixd-warm-'))
  return () => rmSync(folder, { recursive: true })
})

const report = {
  object: 'cache.warm',
  dialect: 'chat',
  model: 'smollm2-135m',
  cache: {
    prefix: '9f2c41d07ab3',
    tokens: { restored: 256, computed: 777, saved: 776 },
    ms: { load: 0, queue: 1000, restore: 500, prefill: 2500 },
  },
}
const answers = { '/v1/cache/warm': { status: 200, body: report } }

const put = (name: string, text: string): string => {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}

describe('prefixd warm', () => {
  it('sends a body and shows its receipt', async () => {
    await using service = await startFixtureService(answers)
    const file = put('rules.json', '{"messages": []}')
    const words = ['warm', '--file', file, '--dialect', 'messages', '--url', service.url]
    expect(await prefixd(words)).toMatchObject({
      exit: 0,
      out: 'rules.json  777 computed, 256 restored, 776 saved  4.00 s  prefix 9f2c41d07ab3\n',
      err: '',
    })
    expect(service.requests).toEqual([
      { line: 'POST /v1/cache/warm?dialect=messages', body: { messages: [] } },
    ])
  })

  it('sends every .json file of a folder in the order of names, also behind one that is refused', async () => {
    let count = 0
    const once = () =>
      ++count === 2 ? refusal('PREFIXD_E_INVALID_VALUE', 'n must be 1.') : answers['/v1/cache/warm']
    await using service = await startFixtureService({ '/v1/cache/warm': once })
    for (const name of ['c.json', 'a.json', 'b.json', 'notes.txt'])
      put(name, `{"input": "${name}"}`)
    put('d.json', 'no JSON')
    const ran = await prefixd(['warm', '--dir', folder, '--url', service.url])
    expect(ran.exit).toBe(2)
    expect(ran.out.split('\n').map((line) => line.slice(0, 23))).toEqual([
      'a.json  777 computed, 2',
      'b.json  refused  n must',
      'c.json  777 computed, 2',
      expect.stringMatching(/^d\.json {2}refused/),
      '',
    ])
    expect(ran.err).toMatch(/^error {2}2 of 4 were refused/)
    expect(service.requests.map(({ body }) => body)).toEqual(
      ['a.json', 'b.json', 'c.json'].map((input) => ({ input })),
    )
  })

  it('prints one JSON object with --json', async () => {
    await using service = await startFixtureService(answers)
    const file = put('rules.json', '{}')
    const ran = await prefixd(['warm', '--file', file, '--json', '--url', service.url])
    expect(JSON.parse(ran.out)).toEqual({
      warmed: [{ file: 'rules.json', receipt: report, error: null }],
    })
  })

  it('refuses a command line without a file, or a folder without any', async () => {
    for (const words of [
      [],
      ['--file', 'a', '--dir', 'b'],
      ['--dir', folder],
      ['--dir', '/nowhere'],
    ]) {
      expect(await prefixd(['warm', ...words])).toMatchObject({ exit: 2, out: '' })
    }
  })
})

describe('prefixd clear', () => {
  it('asks, and frees everything in both tiers', async () => {
    await using service = await startFixtureService()
    const ran = await prefixd(['clear', '--url', service.url], { answer: 'y' })
    expect(ran).toMatchObject({ exit: 0, questions: [expect.stringMatching(/Evict\? \[y\/N\] $/)] })
    expect(service.requests.map(({ body }) => body)).toEqual([
      { all: true, dry_run: true },
      { all: true },
    ])
  })

  it('frees nothing where nobody can be asked, and asks nobody with --yes', async () => {
    await using service = await startFixtureService()
    expect(await prefixd(['clear', '--url', service.url])).toMatchObject({ exit: 2, out: '' })
    const ran = await prefixd(['clear', '--yes', '--url', service.url])
    expect(ran).toMatchObject({ exit: 0, questions: [] })
    expect(service.requests.at(-1)?.body).toEqual({ all: true })
  })
})

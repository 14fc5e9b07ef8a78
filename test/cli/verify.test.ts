import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { VerifyEventJson } from '../../src/api/native/upkeep-schema.ts'
import type { Config } from '../../src/config/schema.ts'
import { PrefixdError } from '../../src/errors.ts'
import { startFixtureService } from './fixture-service.ts'
import { prefixd } from './run.ts'

const finding = {
  type: 'finding',
  kind: 'checksum',
  block: '9f2c41d07ab30000',
  record: 'kv',
  what: 'MiB 0 of the record 9f2c41d07ab30000 has a wrong checksum',
  mended: false,
} as const
const leak = {
  ...finding,
  kind: 'leak',
  block: null,
  record: null,
  what: '3 slots of the slab are taken, and no record has them',
} as const
const done = {
  type: 'done',
  records: 4812,
  size_bytes: 1_288_490_189,
  findings: 0,
  corrupt: 0,
  removed_records: 0,
} as const

const lines = (...events: readonly object[]): string =>
  events.map((event) => `${JSON.stringify(event)}\n`).join('')

const answering = (...events: readonly object[]) =>
  startFixtureService({ '/v1/cache/verify': { status: 200, body: lines(...events) } })

describe('prefixd verify', () => {
  it('says that all is as it was stored', async () => {
    await using service = await answering(done)
    const ran = await prefixd(['verify', '--url', service.url])
    expect(ran).toEqual({
      exit: 0,
      out: '4,812 records, 1.20 GiB: all is as it was stored\n',
      err: '',
      questions: [],
    })
    expect(service.requests).toEqual([{ line: 'POST /v1/cache/verify', body: { repair: false } }])
  })

  it('shows what is damaged, ends with 5, and says what to do', async () => {
    await using service = await answering(finding, leak, { ...done, findings: 2, corrupt: 1 })
    const ran = await prefixd(['verify', '--url', service.url])
    expect(ran.exit).toBe(5)
    expect(ran.out.split('\n')).toEqual([
      `checksum    block 9f2c41d07ab30000: ${finding.what}`,
      `leak        ${leak.what}`,
      '4,812 records, 1.20 GiB: 1 damaged, 1 leak',
      '',
    ])
    expect(ran.err).toMatch(/^error {2}1 thing stored is damaged\ntry {4}.*verify --repair$/m)
  })

  it('ends with 0 where there are leaks alone', async () => {
    await using service = await answering(leak, { ...done, findings: 1 })
    expect(await prefixd(['verify', '--url', service.url])).toMatchObject({ exit: 0, err: '' })
  })

  it('repairs when it is told to, and says what went', async () => {
    const mended = { ...finding, mended: true }
    const sums = { findings: 1, corrupt: 1, removed_records: 3 }
    await using service = await answering(mended, { ...done, ...sums })
    const ran = await prefixd(['verify', '--repair', '--url', service.url])
    expect(service.requests.map(({ body }) => body)).toEqual([{ repair: true }])
    expect(ran).toMatchObject({ exit: 5 })
    expect(ran.out).toMatch(/wrong checksum; mended\n.*: 1 damaged; 3 records taken out\n$/)
    expect(ran.err).toMatch(/\ntry {4}nothing more: what was taken out is computed again/)
  })

  it('says of a repair that had to take nothing out that it is mended', async () => {
    const mended = { ...finding, mended: true }
    await using service = await answering(mended, { ...done, findings: 1, corrupt: 1 })
    const ran = await prefixd(['verify', '--repair', '--url', service.url])
    expect(ran.err).toMatch(
      /\ntry {4}nothing more: it is mended, and nothing had to be taken out\n$/,
    )
  })

  it('prints one JSON object with --json', async () => {
    await using service = await answering(finding, { ...done, findings: 1, corrupt: 1 })
    const ran = await prefixd(['verify', '--json', '--url', service.url])
    expect(JSON.parse(ran.out)).toMatchObject({ corrupt: 1, findings: [{ kind: 'checksum' }] })
    expect(ran.exit).toBe(5)
  })

  it('takes an answer that ends too early, or with an error, for what it is', async () => {
    const error = { type: 'error', code: 'PREFIXD_E_CACHE_IO', message: 'The tier is closed.' }
    for (const [events, exit, said] of [
      [[finding], 7, /ended too early|not running/],
      [[error], 1, /The tier is closed/],
    ] as const) {
      await using service = await answering(...events)
      const ran = await prefixd(['verify', '--url', service.url])
      expect(ran.exit).toBe(exit)
      expect(ran.err).toMatch(said)
    }
  })

  it('advises --offline where no service answers', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    await new Promise((resolve) => server.close(resolve))
    const ran = await prefixd(['verify', '--repair', '--url', `http://127.0.0.1:${port}`])
    expect(ran.exit).toBe(7)
    expect(ran.err).toMatch(/try {4}verify the directory itself: .* verify --repair --offline\n$/)
  })

  it('stops asking when somebody presses Ctrl-C', async () => {
    const open = createServer((_, response) => void response.write('{"type":"progress"'))
    open.listen(0, '127.0.0.1')
    onTestFinished(() => void open.closeAllConnections())
    onTestFinished(() => void open.close())
    await new Promise((resolve) => open.once('listening', resolve))
    const url = `http://127.0.0.1:${(open.address() as AddressInfo).port}`
    const ran = await prefixd(['verify', '--url', url], { isInterrupted: true })
    expect(ran).toMatchObject({ exit: 130, out: '' })
  })
})

describe('prefixd verify --offline', () => {
  it('looks into the directory that is configured or named, and asks no service', async () => {
    const looked: unknown[] = []
    const service = {
      async *verifyOffline(config: Config, options: { readonly repair: boolean }) {
        looked.push([config.dir, config.encryptKeyFile, options.repair])
        yield done as VerifyEventJson
      },
    }
    const key = ['--encrypt-key-file', '/keys/prefixd']
    const words = ['verify', '--offline', '--repair', '--dir', '/fast/prefixd', ...key]
    expect(await prefixd(words, { service })).toMatchObject({ exit: 0, err: '' })
    expect(looked).toEqual([['/fast/prefixd', '/keys/prefixd', true]])
  })

  it('sends people to the service where one has the directory', async () => {
    const service = {
      // biome-ignore lint/correctness/useYield: it is refused at once
      async *verifyOffline(): AsyncGenerator<VerifyEventJson> {
        throw new PrefixdError('PREFIXD_E_CACHE_LOCKED', 'The directory is in use by process 7.')
      },
    }
    const ran = await prefixd(['verify', '--offline'], { service })
    expect(ran.exit).toBe(1)
    expect(ran.err).toMatch(
      /in use by process 7.*\ntry {4}let that service verify it: .* verify\n$/,
    )
  })
})

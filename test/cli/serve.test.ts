import { describe, expect, it } from 'vitest'
import type { RequestDone, ServiceIo, ServiceModule } from '../../src/cli/service.ts'
import type { Config } from '../../src/config/schema.ts'
import { PrefixdError } from '../../src/errors.ts'
import type { Receipt } from '../../src/pipeline/types.ts'
import { type FixtureService, startFixtureService } from './fixture-service.ts'
import { prefixd, type Ran } from './run.ts'
import { workersFixture } from './workers-fixture.ts'

const receipt: Receipt = {
  promptTokens: 15_500,
  restoredTokens: 13_312,
  computedTokens: 2188,
  savedTokens: 2048,
  generatedTokens: 212,
  status: 'partial',
  tier: 'ssd',
  prefix: '9f2c41d07ab3',
  blocks: { hit: 52, total: 61, blockTokens: 256 },
  miss: { reason: 'diverged', atToken: 13_340 },
  reasons: [],
  hygiene: null,
  ms: {
    load: 0,
    queue: 0,
    tokenize: 9,
    plan: 1,
    restore: 184,
    prefill: 1460,
    decode: 900,
    save: 3,
    ttft: 1660,
  },
}

const fake = ['serve', '--engine', 'fake']

interface Served {
  readonly ran: Ran
  readonly configs: readonly Config[]
  readonly closedCount: number
}

/**
 * Runs `serve` with a stand-in for src/main.ts that "listens" where the fixture does. When the
 * banner is there, `requests` are done, and then the process is asked to end.
 */
async function serveOnce(
  fixture: FixtureService,
  words: readonly string[],
  options: {
    readonly env?: Record<string, string>
    readonly requests?: RequestDone[]
    readonly apiKey?: string
    readonly warnings?: readonly string[]
  } = {},
): Promise<Served> {
  const configs: Config[] = []
  let closedCount = 0
  let io: ServiceIo | null = null
  let end: (() => Promise<void>) | null = null
  const service: Pick<ServiceModule, 'serve'> = {
    serve: async (config, given) => {
      configs.push(config)
      io = given
      const close = async () => {
        closedCount += 1
      }
      const { apiKey = null, warnings = [] } = options
      return { url: fixture.url, apiKey, warnings, close }
    },
  }
  const ran = await prefixd(words, {
    service,
    ...(options.env === undefined ? {} : { env: options.env }),
    onListening: (ending) => {
      end = ending
    },
    onOutput: (text) => {
      const endOnce = end
      if (endOnce === null || !text.includes('OPENAI_BASE_URL')) return
      end = null
      for (const done of options.requests ?? []) io?.requestDone(done)
      void endOnce()
    },
  })
  return { ran, configs, closedCount }
}

describe('prefixd serve', () => {
  it('says where it listens, what it serves and what is still there', async () => {
    await using fixture = await startFixtureService({
      '/v1/workers': { status: 200, body: { object: 'list', data: [workersFixture.data[0]] } },
    })
    const { ran } = await serveOnce(fixture, fake)
    expect(ran.exit).toBe(0)
    expect(ran.out.replaceAll(fixture.url, 'http://127.0.0.1:8787')).toBe(
      [
        'prefixd 0.4.0  http://127.0.0.1:8787/v1',
        'model  smollm2-135m · ctx 8,192 · CPU, 1 thread',
        'cache  ram 16 GiB · ssd 200 GiB in ~/.cache/prefixd/data ' +
          '(1,265 prefixes from earlier runs)',
        'try    export OPENAI_BASE_URL=http://127.0.0.1:8787/v1 OPENAI_API_KEY=local',
        '',
        '',
      ].join('\n'),
    )
  })

  it('names no key that would be refused, where the service has keys', async () => {
    await using fixture = await startFixtureService()
    const { ran } = await serveOnce(fixture, fake, { apiKey: 'sk-0123456789abcdef' })
    expect(ran.out).toContain('OPENAI_API_KEY=KEY (one of your key file)')
  })

  it('warns in the banner of what was asked for and is not so', async () => {
    await using fixture = await startFixtureService()
    const warnings = ['the context is 8,192 tokens instead of 1,048,576']
    const { ran } = await serveOnce(fixture, fake, { warnings })
    expect(ran.out).toMatch(/^cache .*\nwarn {3}the context is 8,192 tokens .*\ntry /m)
  })

  it('passes its flags on, over the environment', async () => {
    await using fixture = await startFixtureService()
    const flags = ['--ram', '2GiB', '--block-tokens', '128', '--no-save', '--port', '0']
    const env = { PREFIXD_PORT: '9000', PREFIXD_CTX: '4096' }
    const { configs } = await serveOnce(fixture, [...fake, ...flags], { env })
    expect(configs).toMatchObject([
      { ramBytes: 2 * 1024 ** 3, blockTokens: 128, save: false, port: 0, contextTokens: 4096 },
    ])
  })

  it('closes the service when it is asked to end, and ends with 0', async () => {
    await using fixture = await startFixtureService()
    const { ran, closedCount } = await serveOnce(fixture, fake)
    expect(ran.exit).toBe(0)
    expect(closedCount).toBe(1)
    expect(ran.err).toContain('stopping; once more ends at once')
  })

  it('closes a service that was still starting when it was asked to end', async () => {
    let close = 0
    let end = async () => {}
    const ran = await prefixd(fake, {
      onListening: (ending) => {
        end = ending
      },
      service: {
        serve: async () => {
          void end()
          await new Promise(setImmediate)
          return {
            url: 'http://127.0.0.1:1',
            apiKey: null,
            warnings: [],
            close: async () => {
              close += 1
            },
          }
        },
      },
    })
    expect(ran).toMatchObject({ exit: 0, out: '' })
    expect(close).toBe(1)
  })

  it('does not start what is asked to end before it began', async () => {
    const ran = await prefixd(fake, { onListening: (end) => void end() })
    expect(ran).toMatchObject({ exit: 0, out: '' })
  })

  it('says why it cannot start', async () => {
    const ran = await prefixd(fake, {
      service: {
        serve: async () => {
          const next = 'stop what listens there, or name another with --port'
          throw new PrefixdError('PREFIXD_E_PORT_IN_USE', 'port 8787 is in use', { next })
        },
      },
    })
    expect(ran).toMatchObject({ exit: 1, out: '' })
    expect(ran.err).toMatch(/error {2}port 8787 is in use\ntry {4}stop what listens there/)
  })

  it('prints one line for each request, from what the engine confirmed', async () => {
    await using fixture = await startFixtureService()
    const done: RequestDone[] = [
      { route: 'chat', model: 'smollm2-135m', receipt },
      {
        route: 'chat',
        model: 'smollm2-135m',
        receipt: { ...receipt, restoredTokens: 15_499, tier: 'ram', status: 'hit' },
      },
      {
        route: 'completions',
        model: 'smollm2-135m',
        receipt: { ...receipt, promptTokens: 88, restoredTokens: 0, tier: null, status: 'miss' },
      },
      { route: 'chat', model: 'm\u001b[2J', receipt: null, error: 'the worker died' },
    ]
    const { ran } = await serveOnce(fixture, fake, { requests: done })
    const lines = ran.out.split('\n').filter((line) => /^\d\d:\d\d:\d\d/.test(line))
    expect(lines.map((line) => line.slice(10))).toEqual([
      'chat        15,500 in (86% ssd)    212 out   ttft 1.66 s    smollm2-135m',
      'chat        15,500 in (99% ram)    212 out   ttft 1.66 s    smollm2-135m',
      'completions     88 in (miss)       212 out   ttft 1.66 s    smollm2-135m',
      'chat         failed: the worker died   m\\x1b[2J',
    ])
  })
})

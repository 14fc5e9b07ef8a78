/** The real service as a user starts it, in a folder of its own; all is gone after the test. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import { type ServiceProcess, startService } from '../../bench/service-process.ts'
import type { FakeOptions } from '../../engines/fake/options.ts'
import { defaultModelPath } from './default-model.ts'

export interface TestService extends ServiceProcess {
  get(path: string): Promise<unknown>
  post(path: string, body: unknown): Promise<Response>
}

export interface ServiceFolder {
  readonly path: string
  /** Where the service keeps its files. */
  readonly data: string
  /** `prefixd serve` with these flags over the fixture's; rejects with all that it wrote. */
  start(
    flags?: Readonly<Record<string, string>>,
    fake?: Partial<FakeOptions>,
    adminKey?: string,
    env?: Readonly<Record<string, string>>,
  ): Promise<TestService>
}

const everyService = { port: '0', ram: '64MiB', ssd: '1GiB' }
export const fakeFlags = { engine: 'fake' }
export const realFlags = (): Record<string, string> => ({ model: defaultModelPath(), ctx: '1024' })

/**
 * `parent` is the folder that the data goes to, where it is not a temporary one. With `afterAll` as
 * `onFinished` all tests of a file share what is started.
 */
export function createServiceFolder(
  parent: string = tmpdir(),
  onFinished: (end: () => Promise<void>) => void = onTestFinished,
): ServiceFolder {
  const path = mkdtempSync(join(parent, 'prefixd-service-'))
  const owned = new Set<() => Promise<void>>()
  onFinished(async () => {
    for (const end of owned) await end()
    rmSync(path, { recursive: true, force: true })
  })
  const own = (end: () => Promise<void>): (() => void) => {
    owned.add(end)
    return () => void owned.delete(end)
  }
  const configFile = join(path, 'empty.toml')
  writeFileSync(configFile, '')
  const data = join(path, 'data')
  return {
    path,
    data,
    async start(flags = fakeFlags, fake = {}, adminKey, more = {}) {
      const all = { ...everyService, config: configFile, dir: data, ...flags }
      const words = Object.entries(all).flatMap(([key, value]) => [`--${key}`, value])
      // What is read ahead comes from RAM or from the SSD, whichever is first.
      const env = { PREFIXD_FAKE: JSON.stringify(fake), PREFIXD_PREFETCH: 'false', ...more }
      return withRequests(await startService(words, { directory: path, own }, env, adminKey))
    },
  }
}

const withRequests = (service: ServiceProcess): TestService => ({
  ...service,
  get: async (path) => (await fetch(service.url + path)).json(),
  post: (path, body) =>
    fetch(service.url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    }),
})

const pollMs = 10
const patienceMs = 30_000

/** Asks until the answer fits: the service tells of its state only when it is asked. */
export async function until<T>(ask: () => Promise<T>, fits: (answer: T) => boolean): Promise<T> {
  for (let waitedMs = 0; ; waitedMs += pollMs) {
    const answer = await ask()
    if (fits(answer)) return answer
    if (waitedMs >= patienceMs) throw new Error(`still ${JSON.stringify(answer)}`)
    await delay(pollMs)
  }
}

/** Tokens of the fake engine that begin like no other start's. */
export const fakeTokens = (start: number, count: number): Uint32Array =>
  Uint32Array.from({ length: count }, (_, at) => 32 + ((start * 31 + at * 7 + at ** 2) % 90))

/** Two models in one service: a worker each, and one cache for both. */
import { expect, test } from 'vitest'
import { complete, completeCold, Refusal } from '../bench/completions-client.ts'
import type { FakeOptions } from '../engines/fake/options.ts'
import type { CacheObjectJson, PrefixPageJson, WorkerJson } from '../src/api/native/schema.ts'
import type { CacheStatsJson } from '../src/api/native/stats-schema.ts'
import {
  createServiceFolder,
  fakeTokens,
  type ServiceFolder,
  type TestService,
  until,
} from './support/start-service.ts'

const blockTokens = 256
const promptTokens = 2 * blockTokens + 100
const ask = (model: string, start = 1) => ({
  model,
  tokens: fakeTokens(start, promptTokens),
  answerTokens: 8,
})

const start = (
  folder: ServiceFolder,
  flags: Readonly<Record<string, string>> = {},
  fake: Partial<FakeOptions> = {},
): Promise<TestService> => folder.start({ engine: 'fake', model: 'fake-a,fake-b', ...flags }, fake)

const worker = async (service: TestService, model: string): Promise<WorkerJson | undefined> =>
  ((await service.get('/v1/workers')) as { data: WorkerJson[] }).data.find(
    (each) => each.model === model,
  )
const stats = (service: TestService) => service.get('/v1/cache/stats') as Promise<CacheStatsJson>

test('the same text in two models is stored twice, and each is restored after kill -9', async () => {
  const folder = createServiceFolder()
  const before = await start(folder)
  const cold = await complete(before.url, ask('fake-a'))
  const other = await complete(before.url, ask('fake-b'))
  expect([cold.cachedTokens, other.cachedTokens]).toEqual([0, 0])
  expect(other.text).not.toBe(cold.text)
  const { data } = (await before.get('/v1/cache/prefixes')) as PrefixPageJson
  expect(data.map((prefix) => prefix.model).sort()).toEqual(['fake-a', 'fake-b'])
  expect(new Set(data.map((prefix) => prefix.namespace)).size).toBe(2)
  await before.kill()

  // What follows is found by its name, whichever one is the first.
  const after = await start(folder, { model: 'fake-b,fake-a' })
  const warm = { cachedTokens: promptTokens - 1, tier: 'ssd' }
  expect(await complete(after.url, ask('fake-a'))).toMatchObject({ ...warm, text: cold.text })
  expect(await complete(after.url, ask('fake-b'))).toMatchObject({ ...warm, text: other.text })
})

test('one budget: what one model stores makes the oldest of the other one go', async () => {
  // 4 MiB a block: the RAM tier holds six prompts.
  const one = { ram: '64MiB', ssd: '0', eviction: 'lru' }
  const service = await start(createServiceFolder(), one, { bytesPerToken: 16 * 1024 })
  await complete(service.url, ask('fake-a'))
  expect((await complete(service.url, ask('fake-a'))).cachedTokens).toBe(promptTokens - 1)
  for (let at = 2; at < 10; at++) await complete(service.url, ask('fake-b', at))
  const [ram] = (await stats(service)).tiers
  expect(ram?.evicted_records).toBeGreaterThan(0)
  expect(ram?.used_bytes).toBeLessThanOrEqual(ram?.capacity_bytes ?? 0)
  expect((await complete(service.url, ask('fake-b', 9))).cachedTokens).toBe(promptTokens - 1)
  expect((await complete(service.url, ask('fake-a'))).cachedTokens).toBe(0)
})

test('a worker killed with -9 is its own model’s error; the other one goes on answering', async () => {
  const service = await start(createServiceFolder(), {}, { prefillTokensPerSecond: 1000 })
  await complete(service.url, ask('fake-b'))
  const other = await worker(service, 'fake-b')
  const answer = complete(service.url, ask('fake-a')).catch((error: unknown) => error)
  const busy = await until(
    () => worker(service, 'fake-a'),
    (report) => report?.busy_sequences === 1,
  )
  process.kill(busy?.pid ?? 0, 'SIGKILL')
  const meanwhile = await complete(service.url, ask('fake-b'))
  expect(meanwhile.cachedTokens).toBe(promptTokens - 1)
  const refused = await answer
  expect(refused).toBeInstanceOf(Refusal)
  expect(refused).toMatchObject({ status: 503, code: 'PREFIXD_E_ENGINE_DIED' })

  const next = await complete(service.url, ask('fake-a'))
  expect(next.text).toBe((await completeCold(service.url, ask('fake-a'))).text)
  expect(await worker(service, 'fake-a')).toMatchObject({ state: 'ready', restarts: 1 })
  expect(await worker(service, 'fake-b')).toMatchObject({ pid: other?.pid, restarts: 0 })
})

test('a worker that dies too often rests; only its own model is refused, and health says so', async () => {
  // Only what is longer than a prompt of the others gets there.
  const service = await start(createServiceFolder(), {}, { crashAtToken: promptTokens + 200 })
  const long = { ...ask('fake-a'), tokens: fakeTokens(1, promptTokens + 300) }
  const codes: (string | null)[] = []
  await until(
    async () => {
      codes.push(
        await complete(service.url, long).then(
          () => '',
          ({ code }: Refusal) => code,
        ),
      )
      return (await worker(service, 'fake-a'))?.state
    },
    (state) => state === 'failed',
  )
  expect(new Set(codes)).toEqual(new Set(['PREFIXD_E_ENGINE_DIED']))
  const refused = await complete(service.url, ask('fake-a')).catch((error: unknown) => error)
  expect(refused).toMatchObject({ status: 503, code: 'PREFIXD_E_ENGINE_FAILED' })
  expect((await complete(service.url, ask('fake-b'))).text).not.toBe('')
  const failed = [{ id: 'fake-a', state: 'failed' }]
  expect(await service.get('/health')).toEqual({ status: 'degraded', models: failed })
})

test('what a request waits for its model to load has a figure of its own', async () => {
  const service = await start(createServiceFolder(), {}, { loadMs: 1_000 })
  const { tokens } = ask('fake-a')
  const timed = async () => {
    const reply = await service.post('/v1/completions', { prompt: [...tokens], max_tokens: 2 })
    return ((await reply.json()) as { cache: CacheObjectJson }).cache.ms
  }
  expect((await timed()).load).toBeLessThan(1_000)
  process.kill((await worker(service, 'fake-a'))?.pid ?? 0, 'SIGKILL')
  await until(
    () => worker(service, 'fake-a'),
    (report) => report?.state === 'restarting',
  )
  const ms = await timed()
  expect(ms.load).toBeGreaterThan(1_000)
  expect(ms.ttft).toBeGreaterThan(ms.load)
  expect(ms.tokenize).toBeLessThan(ms.load)
  // The medians are of what the cache can change.
  const { hit, miss } = (await stats(service)).ttft_ms
  expect(Math.max(hit ?? 0, miss ?? 0)).toBeLessThan(ms.load)
})

test('requests choose by name; the first model answers those that name none', async () => {
  const service = await start(createServiceFolder())
  const { data } = (await service.get('/v1/models')) as { data: { id: string }[] }
  expect(data.map(({ id }) => id)).toEqual(['fake-a', 'fake-b'])
  const { tokens, answerTokens } = ask('fake-a')
  const unnamed = await complete(service.url, { tokens, answerTokens })
  expect(unnamed).toMatchObject({ text: (await complete(service.url, ask('fake-a'))).text })
  const refused = await complete(service.url, ask('fake-c')).catch((error: unknown) => error)
  expect(refused).toMatchObject({ status: 404, code: 'PREFIXD_E_MODEL_NOT_FOUND' })
  expect((refused as Refusal).message).toContain('Served: fake-a, fake-b.')

  const { requests, models } = await stats(service)
  expect(requests).toMatchObject({ total: 2, hit: 1, miss: 1 })
  expect(models).toMatchObject([
    { model: 'fake-a', requests: { total: 2, hit: 1 }, tokens: { prompt: 2 * promptTokens } },
    { model: 'fake-b', requests: { total: 0 }, tokens: { prompt: 0 } },
  ])
})

test('a model that cannot be loaded stops the start, and is named', async () => {
  const refused = start(createServiceFolder(), {}, { failLoad: true })
  await expect(refused).rejects.toThrow(/ended \(exit code \d\).*fake-[ab] cannot be served/s)
})

test('one name for two models stops the start', async () => {
  const refused = start(createServiceFolder(), { model: 'fake-a,fake-a' })
  await expect(refused).rejects.toThrow(/ended \(exit code 2\).*model names fake-a twice/s)
})

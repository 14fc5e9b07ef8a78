import { existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { complete } from '../../bench/completions-client.ts'
import type {
  AdviceJson,
  RequestListJson,
  TotalsReportJson,
} from '../../src/api/native/history-schema.ts'
import type { CacheStatsJson } from '../../src/api/native/stats-schema.ts'
import {
  createServiceFolder,
  fakeFlags,
  fakeTokens,
  type ServiceFolder,
  type TestService,
} from '../support/start-service.ts'

const request = { tokens: fakeTokens(1, 1024), answerTokens: 8 }
const fake = { bytesPerToken: 1024 }

const catalogOf = (folder: ServiceFolder): string => join(folder.data, 'catalog.db')
const damages: readonly (readonly [string, (path: string) => void])[] = [
  ['deleted', (path) => rmSync(path)],
  ['overwritten', (path) => writeFileSync(path, 'no database at all, '.repeat(1000))],
  ['cut short', (path) => truncateSync(path, statSync(path).size - 5000)],
]

test('what was asked before a kill is explained after the restart, and counted', async () => {
  const folder = createServiceFolder()
  const before = await folder.start(fakeFlags, fake)
  await complete(before.url, request)
  await complete(before.url, request)
  // What was noted is written within a quarter of a second, or when somebody asks.
  const list = (await before.get('/v1/requests')) as RequestListJson
  expect(list.data.map(({ status }) => status)).toEqual(['hit', 'miss'])
  await before.kill()

  const after = await folder.start(fakeFlags, fake)
  const [hit, miss] = ((await after.get('/v1/requests')) as RequestListJson).data
  expect(hit).toMatchObject({ status: 'hit', cache: { tokens: { restored: 1023 } } })
  expect(await after.get(`/v1/requests/${miss?.id}`)).toEqual(miss)
  expect(miss).toMatchObject({ route: 'completions', cache: { miss: { reason: 'never_seen' } } })
  const { totals } = (await after.get('/v1/cache/totals?since_ms=3600000')) as TotalsReportJson
  expect(totals).toMatchObject({ requests: 2, hit: 1, miss: 1, restored_ram_tokens: 1023 })
  expect(totals.ssd_written_bytes).toBeGreaterThan(1024 * 1024)
  const gone = await fetch(`${after.url}/v1/requests/req_0`)
  expect(gone.status).toBe(404)
  expect(await gone.json()).toMatchObject({ error: { code: 'request_not_found' } })
})

test.each(damages)(
  'a catalog that was %s costs its history and not one token',
  async (_, damage) => {
    const folder = createServiceFolder()
    const before = await folder.start(fakeFlags, fake)
    const first = await complete(before.url, request)
    await before.kill()
    for (const part of ['-wal', '-shm']) rmSync(catalogOf(folder) + part, { force: true })
    damage(catalogOf(folder))

    const after = await folder.start(fakeFlags, fake)
    const again = await complete(after.url, request)
    expect(again).toMatchObject({ text: first.text, cachedTokens: 1023, tier: 'ssd' })
    const list = (await after.get('/v1/requests')) as RequestListJson
    expect(list.data.map(({ status }) => status)).toEqual(['hit'])
  },
)

test('what was evicted before a restart is missed for that reason after it, and room is advised', async () => {
  const folder = createServiceFolder()
  const flags = { ...fakeFlags, ssd: '64MiB' }
  // A block takes 1 MiB of either tier, so that 64 fit; 80 are asked for.
  const large = { bytesPerToken: 4096 }
  const prompts = Array.from({ length: 10 }, (_, at) => fakeTokens(100 + at, 8 * 256))
  const before = await folder.start(flags, large)
  for (const tokens of prompts) await complete(before.url, { tokens, answerTokens: 1 })
  expect(await before.get('/v1/cache/advise')).toMatchObject({ steps: [], best: null })
  await before.stop()

  const after = await folder.start(flags, large)
  const reasons = []
  for (const tokens of prompts) {
    reasons.push((await complete(after.url, { tokens, answerTokens: 1 })).missReason)
  }
  expect(reasons).toContain('evicted')
  expect(reasons).not.toContain('never_seen')
  const list = (await after.get('/v1/requests?limit=10')) as RequestListJson
  const missed = list.data.find(({ cache }) => cache?.miss?.reason === 'evicted')
  expect(missed?.cache?.miss?.evicted_at_ms).toBeLessThan(missed?.at_ms ?? 0)
  const advice = (await after.get('/v1/cache/advise')) as AdviceJson
  expect(advice.best?.tokens).toBeGreaterThanOrEqual(256)
  expect(await after.get('/v1/cache/stats')).toMatchObject({ advice: advice.best })
})

interface Listed {
  readonly id: string
  readonly hits: number
  readonly label: string | null
  readonly grown_from: string | null
  readonly sessions: readonly string[]
}

const listOf = async (service: TestService): Promise<readonly Listed[]> =>
  ((await service.get('/v1/cache/prefixes')) as { data: Listed[] }).data.map(
    ({ id, hits, label, grown_from, sessions }) => ({ id, hits, label, grown_from, sessions }),
  )

const keepText = { PREFIXD_KEEP_TEXT: 'true' }
const rules = `You are \u001b[2Jterse.  Rule:\n${'be brief and be kind. '.repeat(40)}`
const chatOf = (...questions: readonly string[]) => ({
  messages: [
    { role: 'system', content: rules },
    ...questions.map((content) => ({ role: 'user', content })),
  ],
  max_tokens: 1,
  prompt_cache_key: 'of-ada',
})
const ask = async (service: TestService, ...questions: readonly string[]): Promise<void> => {
  const reply = await service.post('/v1/chat/completions', chatOf(...questions))
  expect(reply.status, await reply.text()).toBe(200)
}

const rates = async (service: TestService) =>
  ((await service.get('/v1/cache/stats')) as CacheStatsJson).models[0]?.rates

test('hits, sessions, labels, speeds and what a prefix grew from survive a restart', async () => {
  const folder = createServiceFolder()
  const before = await folder.start(fakeFlags, fake, undefined, keepText)
  for (const questions of [['one'], ['one'], ['one', 'two']]) await ask(before, ...questions)
  const expected = await listOf(before)
  expect(expected.some(({ hits }) => hits > 0)).toBe(true)
  expect(expected.flatMap(({ sessions }) => sessions)).toEqual(['of-ada'])
  expect(expected[0]?.label).toBe(rules.replace(/\s+/g, ' ').slice(0, 64))
  expect(expected.some(({ grown_from: from }) => from !== null)).toBe(true)
  const measured = await rates(before)
  expect(measured?.prefill_tokens_per_second).toBeGreaterThan(0)
  await before.stop()

  const after = await folder.start(fakeFlags, fake, undefined, keepText)
  await expect.poll(() => listOf(after)).toEqual(expected)
  expect(await rates(after)).toEqual(measured)
})

test('without keep-text no word of a prompt is on the disk, also none that was kept before', async () => {
  const folder = createServiceFolder()
  const words = () =>
    ['catalog.db', 'catalog.db-wal']
      .map((name) => join(folder.data, name))
      .filter((path) => existsSync(path))
      .some((path) => readFileSync(path).includes('terse. Rule: be brief'))
  const plain = await folder.start(fakeFlags, fake)
  await ask(plain, 'one')
  await plain.stop()
  expect(words()).toBe(false)

  const keeping = await folder.start(fakeFlags, fake, undefined, keepText)
  await ask(keeping, 'one')
  await keeping.stop()
  expect(words()).toBe(true)

  const again = await folder.start(fakeFlags, fake)
  expect((await listOf(again)).every(({ label }) => label === null)).toBe(true)
  await again.kill()
  expect(words()).toBe(false)
})

test('prefixes whose catalog was lost are listed as before, and are known again', async () => {
  const folder = createServiceFolder()
  const before = await folder.start(fakeFlags, fake)
  await complete(before.url, request)
  await before.stop()
  for (const part of ['', '-wal', '-shm']) rmSync(catalogOf(folder) + part, { force: true })
  const after = await folder.start(fakeFlags, fake)
  const [listed] = await listOf(after)
  await after.stop()
  const db = new Database(catalogOf(folder), { readonly: true })
  const rows = db.prepare('SELECT hash, tokens FROM prefixes').all() as { hash: string }[]
  db.close()
  expect(rows).toMatchObject([{ tokens: 1024 + 7 }])
  expect(rows[0]?.hash.startsWith(listed?.id ?? 'none')).toBe(true)
})

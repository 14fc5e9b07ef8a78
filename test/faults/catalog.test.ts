import { rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { complete } from '../../bench/completions-client.ts'
import type {
  AdviceJson,
  RequestListJson,
  TotalsReportJson,
} from '../../src/api/native/history-schema.ts'
import {
  createServiceFolder,
  fakeFlags,
  fakeTokens,
  type ServiceFolder,
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

/** Budgets over HTTP, and on the real service while it runs. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Value from 'typebox/value'
import { expect, test } from 'vitest'
import { type BudgetsJson, BudgetsSchema } from '../../src/api/native/budgets-schema.ts'
import { createServer } from '../../src/api/server.ts'
import { scriptedBudgets } from '../support/scripted-budgets.ts'
import { scriptedService } from '../support/scripted-service.ts'
import {
  createServiceFolder,
  fakeTokens,
  type TestService,
  until,
} from '../support/start-service.ts'

const url = '/v1/cache/budgets'
const mebibyte = 1024 ** 2

test('every answer keeps to its schema, and what is absent stays as it is', async () => {
  const budgets = scriptedBudgets()
  const server = createServer({ ...scriptedService(), budgets })
  const shown = await server.inject({ method: 'GET', url })
  expect([shown.statusCode, ...Value.Errors(BudgetsSchema, shown.json())]).toEqual([200])
  for (const payload of [{ ram_bytes: 1e8 }, { ssd_bytes: 1e9, ssd_writes_per_day_bytes: null }]) {
    const reply = await server.inject({ method: 'PATCH', url, payload })
    expect([reply.statusCode, ...Value.Errors(BudgetsSchema, reply.json())]).toEqual([200])
  }
  expect(budgets.changes).toEqual([
    { ramBytes: 1e8 },
    { ssdBytes: 1e9, ssdWritesPerDayBytes: null },
  ])
})

test('shares are read as the setting has them, and one that is none is named', async () => {
  const budgets = scriptedBudgets()
  const server = createServer({ ...scriptedService(), budgets })
  const change = (shares: string[]) => server.inject({ method: 'PATCH', url, payload: { shares } })
  await change(['model:a/b:c=50%', 'tenant:*=1GiB/10%'])
  await change([])
  expect(budgets.changes).toEqual([
    {
      shares: [
        { name: 'model:a/b:c', ram: { part: 0.5 }, ssd: { part: 0.5 } },
        { name: 'tenant:*', ram: { bytes: 2 ** 30 }, ssd: { part: 0.1 } },
      ],
    },
    { shares: [] },
  ])
  const refused = await change(['tenant:a=10%', 'somebody=10%'])
  expect(refused.statusCode).toBe(400)
  expect(refused.json().error.param).toBe('shares[1]')
  for (const wrong of ['tenant:b=0%', 'tenant:a=20%']) {
    const { error } = (await change(['tenant:a=10%', wrong])).json()
    expect([error.code, error.param]).toEqual(['invalid_value', 'shares[1]'])
  }
  expect(budgets.changes).toHaveLength(2)
})

test.each([
  [{}],
  [{ ram_bytes: '1GiB' }],
  [{ ram_bytes: -1 }],
  [{ ssd_bytes: null }],
  [{ ssd_bytes: 1.5 }],
  [{ ssd_bytes: 1e9, ram: 1e8 }],
])('%j is refused', async (payload) => {
  const budgets = scriptedBudgets()
  const server = createServer({ ...scriptedService(), budgets })
  expect((await server.inject({ method: 'PATCH', url, payload })).statusCode).toBe(400)
  expect(budgets.changes).toEqual([])
})

const patch = async (service: TestService, body: object) => {
  const headers = { 'content-type': 'application/json' }
  const init = { method: 'PATCH', headers, body: JSON.stringify(body) }
  return fetch(service.url + url, init)
}

const complete = async (service: TestService, start: number) => {
  const prompt = [...fakeTokens(start, 600)]
  const reply = await service.post('/v1/completions', { prompt, max_tokens: 1, model: 'fake' })
  expect(reply.status).toBe(200)
  return ((await reply.json()) as { cache: { tokens: { restored: number } } }).cache.tokens
}

test('a running service takes smaller and larger tiers, and refuses what needs a restart', async () => {
  const folder = createServiceFolder()
  const flags = { engine: 'fake', ram: '128MiB', ssd: '256MiB' }
  const service = await folder.start(flags, { bytesPerToken: 16_000 })
  for (let start = 1; start <= 12; start++) await complete(service, start)

  const tooMuch = await patch(service, { ram_bytes: 129 * mebibyte, ssd_bytes: 64 * mebibyte })
  expect(tooMuch.status).toBe(400)
  expect(await tooMuch.json()).toMatchObject({
    error: { param: 'ram_bytes', message: expect.stringContaining('Restart with a larger --ram') },
  })
  const ssdRange = '64 MiB to 1024 TiB'
  for (const [body, message] of [
    [{ ram_bytes: 1 }, 'takes 64 MiB to 128 MiB, not 1 B'],
    [{ ssd_bytes: 0 }, `takes ${ssdRange}, not 0 B`],
    [{ ssd_bytes: 2 ** 51 }, `takes ${ssdRange}, not 2048 TiB`],
    [{ ssd_writes_per_day_bytes: 5 }, `are ${ssdRange}, not 5 B`],
  ] as const) {
    const reply = await patch(service, body)
    expect(reply.status).toBe(400)
    expect(await reply.json()).toMatchObject({
      error: { param: Object.keys(body)[0], message: expect.stringContaining(message) },
    })
  }
  const unchanged = (await service.get(url)) as BudgetsJson
  expect(unchanged).toMatchObject({
    ram: { budget_bytes: 128 * mebibyte, most_bytes: 128 * mebibyte, shrinking: false },
    ssd: { budget_bytes: 256 * mebibyte },
    ssd_writes_per_day: { budget_bytes: null, at_start_bytes: null },
  })

  const smaller = { ram_bytes: 64 * mebibyte, ssd_bytes: 64 * mebibyte }
  const reply = await patch(service, { ...smaller, ssd_writes_per_day_bytes: 2 ** 30 })
  expect(await reply.json()).toMatchObject({
    ram: { budget_bytes: smaller.ram_bytes, at_start_bytes: 128 * mebibyte },
    ssd: { budget_bytes: smaller.ssd_bytes, at_start_bytes: 256 * mebibyte },
    ssd_writes_per_day: { budget_bytes: 2 ** 30, at_start_bytes: null },
  })
  const ask = async () => (await service.get(url)) as BudgetsJson
  const done = await until(ask, ({ ram, ssd }) => !ram.shrinking && ssd?.shrinking === false)
  expect(done.ram.held_bytes).toBeLessThanOrEqual(64 * mebibyte)
  expect(done.ssd?.held_bytes).toBeLessThanOrEqual(64 * mebibyte)
  // The last one was stored at the end of the file.
  expect((await complete(service, 12)).restored).toBe(599)
})

test('without an SSD tier its budgets are null, and cannot be set', async () => {
  const service = await createServiceFolder().start({ engine: 'fake', ssd: '0' })
  expect(await service.get(url)).toMatchObject({ ssd: null, ssd_writes_per_day: null })
  for (const body of [{ ssd_bytes: 2 ** 30 }, { ssd_writes_per_day_bytes: null }]) {
    const reply = await patch(service, body)
    expect(reply.status).toBe(400)
    expect(await reply.json()).toMatchObject({
      error: { message: expect.stringContaining('Restart with --ssd SIZE') },
    })
  }
})

test('two keys have a share each, and neither makes room for the other', async () => {
  const folder = createServiceFolder()
  const keysFile = join(folder.path, 'keys')
  const [admin, one, two] = ['admin-key-0123456789', 'one-key-0123456789', 'two-key-0123456789']
  writeFileSync(keysFile, `${admin} all admin\n${one} one\n${two} two\n`, { mode: 0o600 })
  const flags = { engine: 'fake', ssd: '256MiB', share: 'tenant:*=25%', 'api-keys': keysFile }
  const service = await folder.start(flags, { bytesPerToken: 16_000 }, admin)
  const ask = async (key: string, start: number) => {
    const body = JSON.stringify({ prompt: [...fakeTokens(start, 600)], max_tokens: 1 })
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` }
    const reply = await fetch(`${service.url}/v1/completions`, { method: 'POST', headers, body })
    expect(reply.status).toBe(200)
    return ((await reply.json()) as { cache: { tokens: { restored: number } } }).cache.tokens
  }
  await ask(two, 50)
  for (let start = 1; start <= 12; start++) await ask(one, start)
  expect((await ask(two, 50)).restored).toBe(599)
  const headers = { authorization: `Bearer ${admin}` }
  const shown = (await (await fetch(service.url + url, { headers })).json()) as BudgetsJson
  const [quarterOfRam, quarterOfSsd] = [16 * mebibyte, 64 * mebibyte]
  expect(shown.shares.map(({ name }) => name).sort()).toEqual(['tenant:one', 'tenant:two'])
  for (const { ram, ssd } of shown.shares) {
    expect([ram.most_bytes, ssd.most_bytes]).toEqual([quarterOfRam, quarterOfSsd])
    expect(ram.used_bytes).toBeLessThanOrEqual(quarterOfRam)
    expect(ssd.used_bytes).toBeLessThanOrEqual(quarterOfSsd)
  }
  expect(shown.holders.map(({ model, tenant }) => [model, tenant])).toEqual([
    ['fake', 'one'],
    ['fake', 'two'],
  ])
})

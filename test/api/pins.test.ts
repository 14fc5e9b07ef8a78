/** Pins over HTTP, and on the real service over a restart. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import Value from 'typebox/value'
import { expect, test } from 'vitest'
import { PinListSchema, PinSchema } from '../../src/api/native/schema.ts'
import { createServer } from '../../src/api/server.ts'
import { scriptedService } from '../support/scripted-service.ts'
import { createServiceFolder, fakeTokens, type TestService } from '../support/start-service.ts'

test('pinning takes a time or none, and every answer keeps to its schema', async () => {
  const service = scriptedService()
  const server = createServer(service)
  const url = '/v1/cache/pins/9f2c'
  for (const payload of [undefined, {}, { ttl_seconds: null }, { ttl_seconds: 60 }]) {
    const reply = await server.inject({ method: 'PUT', url, ...(payload && { payload }) })
    expect([reply.statusCode, ...Value.Errors(PinSchema, reply.json())]).toEqual([200])
  }
  expect(service.pinned.map(({ ttlMs }) => ttlMs)).toEqual([null, null, null, 60_000])
  expect(Value.Check(PinSchema, (await server.inject({ method: 'DELETE', url })).json())).toBe(true)
  const list = await server.inject({ method: 'GET', url: '/v1/cache/pins' })
  expect([...Value.Errors(PinListSchema, list.json())]).toEqual([])
})

test.each([0, -1, 1.5, 366 * 86_400 + 1, 'week'])('a ttl of %j is refused', async (seconds) => {
  const reply = await createServer(scriptedService()).inject({
    method: 'PUT',
    url: '/v1/cache/pins/9f2c',
    payload: { ttl_seconds: seconds },
  })
  expect(reply.statusCode).toBe(400)
  expect(reply.json().error.param).toBe('ttl_seconds')
})

test('a request of several ways to evict is refused; force is passed on', async () => {
  const service = scriptedService()
  const evict = (payload: object) =>
    createServer(service).inject({ method: 'POST', url: '/v1/cache/evict', payload })
  expect((await evict({ session: 'a', tenant: 'b' })).statusCode).toBe(400)
  await evict({ tenant: 'b', force: true })
  expect(service.evictions).toEqual([{ selector: { tenant: 'b' }, dryRun: false, force: true }])
})

interface Listed {
  readonly data: readonly { readonly id: string; readonly pinned: boolean }[]
}

const complete = async (service: TestService, start: number) => {
  const prompt = [...fakeTokens(start, 600)]
  const reply = await service.post('/v1/completions', { prompt, max_tokens: 0, model: 'fake' })
  expect(reply.status).toBe(200)
}

test('a pin outlives a restart without a catalog, and evicting everything', async () => {
  const folder = createServiceFolder()
  const before = await folder.start()
  await complete(before, 1)
  const { data } = (await before.get('/v1/cache/prefixes')) as Listed
  const id = data[0]?.id as string
  const put = await fetch(`${before.url}/v1/cache/pins/${id}`, { method: 'PUT' })
  expect(await put.json()).toMatchObject({ id, state: 'kept', until_ms: null })
  await before.stop()
  rmSync(join(folder.data, 'catalog.db'))

  const after = await folder.start()
  await complete(after, 2)
  const evicted = await after.post('/v1/cache/evict', { all: true })
  expect(await evicted.json()).toMatchObject({ prefixes: 1, pinned_blocks: 3 })
  const left = (await after.get('/v1/cache/prefixes')) as Listed
  expect(left.data.map((prefix) => [prefix.id, prefix.pinned])).toEqual([[id, true]])
  expect(await after.get('/v1/cache/pins')).toMatchObject({ data: [{ id, state: 'kept' }] })
})

interface Answer {
  readonly cache: { readonly prefix: string; readonly reasons: readonly string[] }
}

const ask = (service: TestService, words: string) =>
  fetch(`${service.url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-prefixd-cache': words },
    body: JSON.stringify({ prompt: [...fakeTokens(7, 600)], max_tokens: 0, model: 'fake' }),
  })

test('a request pins what it has saved, and its reply says so', async () => {
  const service = await createServiceFolder().start()
  const forEver = (await (await ask(service, 'pin')).json()) as Answer
  const { prefix } = forEver.cache
  expect(forEver.cache.reasons.at(-1)).toBe(`pinned as ${prefix} until it is unpinned`)
  const listed = await service.get('/v1/cache/pins')
  expect(listed).toMatchObject({ data: [{ id: prefix, state: 'kept', until_ms: null }] })
  const forAnHour = (await (await ask(service, 'pin, ttl=1h')).json()) as Answer
  expect(forAnHour.cache.reasons.at(-1)).toMatch(`pinned as ${prefix} until 2`)
  const again = (await service.get('/v1/cache/pins')) as { data: { until_ms: number }[] }
  expect(
    again.data.map(({ until_ms: ms }) => ms > Date.now() && ms <= Date.now() + 3_600_000),
  ).toEqual([true])
})

test('a request that finds no room to pin is answered, and says why nothing is pinned', async () => {
  // Half of either tier is less than what the prompt takes.
  const service = await createServiceFolder().start(
    { engine: 'fake', ram: '64MiB', ssd: '64MiB' },
    { bytesPerToken: 90_000 },
  )
  const reply = await ask(service, 'pin')
  expect(reply.status).toBe(200)
  const { reasons } = ((await reply.json()) as Answer).cache
  expect(reasons.at(-1)).toMatch(/^not pinned: The prefix cannot be pinned: 0 MiB of the ssd/)
  expect(await service.get('/v1/cache/pins')).toMatchObject({ data: [] })
})

/** The agent's verbs on the real service with the fake engine. */
import Value from 'typebox/value'
import { expect, test } from 'vitest'
import {
  SessionEndSchema,
  SessionListSchema,
  SessionResumedSchema,
  SessionSchema,
} from '../../src/api/native/session-schema.ts'
import { createServer } from '../../src/api/server.ts'
import { scriptedService } from '../support/scripted-service.ts'
import { createServiceFolder, fakeTokens } from '../support/start-service.ts'

const ask = (url: string, start: number, headers: Record<string, string>) =>
  fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ model: 'fake', prompt: [...fakeTokens(start, 600)], max_tokens: 0 }),
  })

test('a session is paused, resumed, forked and ended; every answer keeps to its schema', async () => {
  const service = await createServiceFolder().start()
  await ask(service.url, 1, { 'x-session-id': 'one two' })
  const verb = async (name: string, body?: object) => {
    const path = `/v1/sessions/one%20two/${name}`
    const reply = await (body === undefined
      ? fetch(service.url + path, { method: 'POST' })
      : service.post(path, body))
    expect(reply.status, name).toBe(200)
    return (await reply.json()) as Record<string, unknown>
  }
  const paused = await verb('pause', { eta_seconds: 30 })
  expect([...Value.Errors(SessionSchema, paused)]).toEqual([])
  expect(paused).toMatchObject({ id: 'one two', model: 'fake', tokens: 600 })
  expect(paused.kept_in_ram_until_ms).toBeGreaterThan(Date.now())
  expect([...Value.Errors(SessionSchema, await verb('pause'))]).toEqual([])
  expect([...Value.Errors(SessionResumedSchema, await verb('resume'))]).toEqual([])
  expect(await verb('fork', { new_id: 'three' })).toMatchObject({ forked_from: 'one two' })
  const list = (await service.get('/v1/sessions')) as { data: { id: string }[] }
  expect([...Value.Errors(SessionListSchema, list)]).toEqual([])
  expect(list.data.map(({ id }) => id)).toEqual(['three', 'one two'])
  const ended = await verb('end', { evict: true })
  expect([...Value.Errors(SessionEndSchema, ended)]).toEqual([])
  const again = await service.post('/v1/sessions/one%20two/end', {})
  expect(again.status).toBe(404)
  expect(((await again.json()) as { error: object }).error).toMatchObject({
    code: 'session_not_found',
  })
})

test.each([
  ['pause', { eta_seconds: 0 }, 'eta_seconds'],
  ['pause', { eta_seconds: 86_401 }, 'eta_seconds'],
  ['fork', {}, 'new_id'],
  ['fork', { new_id: ' ' }, 'new_id'],
  ['end', { evict: 'yes' }, 'evict'],
])('%s with %j is refused by the field', async (verb, body, param) => {
  const url = `/v1/sessions/x/${verb}`
  const server = createServer(scriptedService())
  const reply = await server.inject({ method: 'POST', url, payload: body })
  expect(reply.statusCode).toBe(400)
  expect(reply.json().error).toMatchObject({ param })
})

test('an ephemeral request is cached in RAM and never reaches the SSD', async () => {
  const service = await createServiceFolder().start()
  const headers = { 'x-session-id': 'e', 'x-prefixd-cache': 'ephemeral' }
  await ask(service.url, 1, headers)
  const reply = await ask(service.url, 1, headers)
  expect(await reply.json()).toMatchObject({ cache: { status: 'hit', tier: 'ram' } })
  const { tiers } = (await service.get('/v1/cache/stats')) as { tiers: object[] }
  expect(tiers[1]).toMatchObject({ tier: 'ssd', blocks: 0, written_bytes: 0 })
})

test('a session that has ended is not listed after a restart, and the others are', async () => {
  const folder = createServiceFolder()
  const before = await folder.start()
  await ask(before.url, 1, { 'x-session-id': 'ended' })
  await ask(before.url, 2, { 'x-session-id': 'goes on' })
  await before.post('/v1/sessions/ended/end', {})
  await before.stop()
  const after = await folder.start()
  const list = (await after.get('/v1/sessions')) as { data: { id: string }[] }
  expect(list.data.map(({ id }) => id)).toEqual(['goes on'])
})

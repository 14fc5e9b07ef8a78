/** The spellings of a session's id, and where it ends up: in reports, and in no prompt's name. */
import { expect, test } from 'vitest'
import { createServer } from '../../src/api/server.ts'
import { scriptedService } from '../support/scripted-service.ts'
import { createServiceFolder } from '../support/start-service.ts'

const messages = [{ role: 'user', content: 'hi' }]

async function sessionOf(headers: Record<string, string>, fields: object = {}, url?: string) {
  const service = scriptedService()
  const payload = { messages, input: 'hi', max_tokens: 1, ...fields }
  const path = url ?? '/v1/chat/completions'
  const reply = await createServer(service).inject({ method: 'POST', url: path, headers, payload })
  expect(reply.statusCode).toBe(200)
  return service.requests[0]?.session
}

test.each([
  'x-prefixd-session',
  'x-claude-code-session-id',
  'x-session-id',
  'x-session-affinity',
  'session-id',
  'thread-id',
])('the header %s names the session', async (header) => {
  expect(await sessionOf({ [header]: 'one' })).toBe('one')
})

const json = JSON.stringify({ device_id: 'd', session_id: 'four' })

test.each([
  ['/v1/chat/completions', { prompt_cache_key: 'two' }, 'two'],
  ['/v1/responses', { prompt_cache_key: 'two' }, 'two'],
  ['/v1/messages', { metadata: { user_id: 'user_1_account_2_session_three-3' } }, 'three-3'],
  ['/v1/messages', { metadata: { user_id: json } }, 'four'],
  ['/v1/messages', { metadata: { user_id: 'ada' } }, null],
  ['/v1/messages', { metadata: { user_id: '{"session_id": 4}' } }, null],
  ['/v1/messages', { metadata: { user_id: '{broken' } }, null],
  ['/v1/chat/completions', { user: 'ada' }, null],
])('on %s the body %j names %s', async (url, fields, session) => {
  expect(await sessionOf({}, fields, url)).toBe(session)
})

test('the first spelling that can be an id wins; what cannot be one is passed over', async () => {
  const both = { 'session-id': 'codex', 'x-session-id': 'opencode' }
  expect(await sessionOf(both, { prompt_cache_key: 'key' })).toBe('opencode')
  expect(await sessionOf({ 'x-session-id': ' ' }, { prompt_cache_key: 'key' })).toBe('key')
  expect(await sessionOf({ 'x-session-id': 'x'.repeat(513) })).toBe(null)
})

test('a session is listed with its prefix, and other sessions share that all the same', async () => {
  const service = await createServiceFolder().start()
  const say = async (session: string) => {
    const reply = await fetch(`${service.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-session-id': session },
      body: JSON.stringify({ messages, max_tokens: 1, temperature: 0 }),
    })
    return ((await reply.json()) as { cache: { status: string } }).cache.status
  }
  expect(await say('first')).toBe('miss')
  expect(await say('second')).toBe('hit')
  const { data } = (await service.get('/v1/cache/prefixes')) as { data: { sessions: string[] }[] }
  expect(data[0]?.sessions).toEqual(['second', 'first'])
})

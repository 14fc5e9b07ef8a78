import Value from 'typebox/value'
import { expect, test } from 'vitest'
import { WarmReportSchema } from '../../src/api/native/upkeep-schema.ts'
import { createServer } from '../../src/api/server.ts'
import { scriptedService } from '../support/scripted-service.ts'

const messages = [{ role: 'user', content: 'hello' }]
const warm = (payload: object, service = scriptedService(), query = '') =>
  createServer(service).inject({ method: 'POST', url: `/v1/cache/warm${query}`, payload })

test.each([
  ['chat', { messages, stream: true, stream_options: { include_usage: true }, n: 3 }, ''],
  ['chat', { messages, max_completion_tokens: 100, logprobs: true, top_logprobs: 2 }, ''],
  ['completions', { prompt: 'once upon a time', echo: true, logprobs: 2, max_tokens: 9 }, ''],
  ['messages', { messages, system: 'Be brief.', max_tokens: 1000, stream: true }, ''],
  ['messages', { messages, max_tokens: 1000 }, '?dialect=messages'],
  ['responses', { input: 'hello', stream: true, max_output_tokens: 5 }, ''],
])('a body of %s is computed without an answer: %j', async (dialect, body, query) => {
  const service = scriptedService()
  const reply = await warm({ model: 'fake', ...body }, service, query)
  expect(reply.statusCode, reply.body).toBe(200)
  expect([...Value.Errors(WarmReportSchema, reply.json())]).toEqual([])
  expect(reply.json()).toMatchObject({ dialect, model: 'fake' })
  expect(service.requests).toMatchObject([{ dialect, maxTokens: 0, model: 'fake' }])
  expect(service.requests[0]?.choices ?? 1).toBe(1)
})

test('what the dialect refuses is refused in its words', async () => {
  const reply = await warm({ messages: 'hello' })
  expect(reply.statusCode).toBe(400)
  expect(reply.headers['x-prefixd-error']).toBe('PREFIXD_E_INVALID_VALUE')
  expect(reply.json().error).toMatchObject({ param: 'messages' })
  const unknown = await warm({ messages, model: 'nobody' })
  expect(unknown.statusCode).toBe(404)
  expect(unknown.headers['x-prefixd-error']).toBe('PREFIXD_E_MODEL_NOT_FOUND')
})

test('a body of no dialect is refused', async () => {
  const reply = await warm({ model: 'fake' })
  expect(reply.statusCode).toBe(400)
  expect(reply.json().error.message).toMatch(/none of messages, prompt and input/)
})

test('cache controls of the header hold', async () => {
  const service = scriptedService()
  await createServer(service).inject({
    method: 'POST',
    url: '/v1/cache/warm',
    headers: { 'x-prefixd-cache': 'no-read' },
    payload: { messages },
  })
  expect(service.requests).toMatchObject([{ cache: { read: false, write: true } }])
})

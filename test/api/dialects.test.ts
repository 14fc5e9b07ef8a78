import { expect, test } from 'vitest'
import { createServer } from '../../src/api/server.ts'
import { answering, scriptedService } from '../support/scripted-service.ts'

const messages = [{ role: 'user', content: 'ping' }]

test.each([
  ['chat', '/v1/chat/completions', { messages }],
  ['completions', '/v1/completions', { prompt: 'ping' }],
  ['messages', '/v1/messages', { messages, max_tokens: 5 }],
  ['responses', '/v1/responses', { input: 'ping' }],
])('the log calls a request %s when it comes to %s', async (dialect, url, body) => {
  const service = scriptedService(answering(['pong']))
  const payload = { model: 'fake', ...body }
  const { statusCode } = await createServer(service).inject({ method: 'POST', url, payload })
  expect(statusCode).toBe(200)
  expect(service.requests).toMatchObject([{ dialect }])
})

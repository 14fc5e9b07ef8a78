import { expect, test } from 'vitest'
import { createServer } from '../../src/api/server.ts'
import { scriptedService } from '../support/scripted-service.ts'

const nested = (levels: number, innermost: unknown = 1): unknown => {
  let value = innermost
  for (let level = 0; level < levels; level += 1) value = [value]
  return value
}

async function post(url: string, body: object) {
  const server = createServer(scriptedService())
  return server.inject({ method: 'POST', url, payload: JSON.stringify(body), headers })
}
const headers = { 'content-type': 'application/json' }
const messages = [{ role: 'user', content: 'hi' }]

test('JSON as deep as anybody sends it is read', async () => {
  const body = { messages, chat_template_kwargs: { tree: nested(100) } }
  expect((await post('/v1/chat/completions', body)).statusCode).toBe(200)
})

test.each(['/v1/chat/completions', '/v1/messages', '/v1/responses', '/tokenize'])(
  'a body of %s that is deeper than call stacks is refused by its field',
  async (url) => {
    const reply = await post(url, { messages, content: 'hi', metadata: nested(2000) })
    expect(reply.statusCode).toBe(400)
    expect(reply.headers['x-prefixd-error']).toBe('PREFIXD_E_INVALID_VALUE')
    expect(reply.body).toContain('metadata may have 127 levels')
  },
)

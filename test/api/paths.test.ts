/** Paths and methods that nothing answers at, and what is said of them. */
import { expect, test } from 'vitest'
import { createServer } from '../../src/api/server.ts'
import { limits } from '../../src/config/limits.ts'
import { scriptedService } from '../support/scripted-service.ts'

const chatUrl = '/v1/chat/completions'
const server = createServer(scriptedService())

test('an unknown route is a 404 in the same envelope', async () => {
  const reply = await server.inject({ method: 'GET', url: '/v2/nothing' })
  expect(reply.statusCode).toBe(404)
  expect(reply.json()).toEqual({
    error: {
      message: 'There is no GET /v2/nothing here. docs/api.md lists every route.',
      type: 'not_found_error',
      param: null,
      code: 'route_not_found',
    },
  })
  expect(reply.headers['x-request-id']).toMatch(/^req_/)
})

test.each([
  ['/chat/completions', 'There is /v1/chat/completions. Add /v1 to the base URL'],
  ['/v1/v1/messages', 'There is /v1/messages. Leave /v1 out of the base URL'],
])('%s is met with what is wrong about the base URL', async (url, advice) => {
  const reply = await server.inject({ method: 'POST', url, payload: {} })
  expect(reply.statusCode).toBe(404)
  expect(reply.json().error.message).toContain(advice)
})

test('the right path with the wrong method says which method it is', async () => {
  const reply = await server.inject({ method: 'GET', url: chatUrl })
  expect(reply.json().error.message).toContain('Use POST.')
})

test.each([
  ['POST', '/v1/cache/budgets', 'GET, HEAD, PATCH', 'Use GET or PATCH.'],
  ['POST', '/v1/cache/pins/9f2c', 'PUT, DELETE', 'Use PUT or DELETE.'],
  ['DELETE', '/v1/models/owner/name', 'GET, HEAD', 'Use GET.'],
] as const)('%s %s is told every method that is there', async (method, url, allow, advice) => {
  const reply = await server.inject({ method, url })
  expect([reply.statusCode, reply.headers.allow]).toEqual([404, allow])
  expect(reply.json().error.message).toContain(advice)
})

const longId = 'a'.repeat(limits.nameLength + 1)

test.each([
  ['GET', `/v1/requests/${longId}`],
  ['GET', `/v1/cache/prefixes/${longId}`],
  ['DELETE', `/v1/cache/pins/${longId}`],
  ['POST', `/v1/sessions/${longId}/end`],
] as const)('%s of an id that is too long says how long it may be', async (method, url) => {
  const reply = await server.inject({ method, url })
  const { param, message } = reply.json().error
  expect([reply.statusCode, param]).toEqual([400, 'id'])
  expect(message).toBe(`The id in the path may have ${limits.nameLength} characters; it has more.`)
})

test('a path that is no percent-encoding is a 404, not a crash', async () => {
  const reply = await server.inject({ method: 'GET', url: '/v1/%zz' })
  expect(reply.statusCode).toBe(404)
  expect(reply.json().error.code).toBe('route_not_found')
})

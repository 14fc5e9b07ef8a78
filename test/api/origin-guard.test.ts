import { expect, test } from 'vitest'
import { createServer } from '../../src/api/server.ts'
import { scriptedService } from '../support/scripted-service.ts'

const ask = (url: string, headers: Record<string, string>, host?: string) =>
  createServer(scriptedService(), host === undefined ? {} : { host }).inject({
    method: 'GET',
    url,
    headers,
  })

test.each(['localhost', 'localhost:8801', '127.0.0.1:1', '127.1.2.3', '[::1]:80', 'a.localhost'])(
  'admin routes answer under %s',
  async (host) => {
    expect((await ask('/v1/cache/stats', { host })).statusCode).toBe(200)
  },
)

test.each(['evil.example', 'localhost.evil.example', '127.0.0.1.evil.example', '10.0.0.1', 'a b'])(
  'admin routes refuse the host %j, under which a foreign page could pose as local',
  async (host) => {
    for (const url of ['/v1/cache/stats', '/v1/workers', '/v1/cache/prefixes/9f']) {
      const reply = await ask(url, { host })
      expect(reply.statusCode).toBe(403)
      expect(reply.json().error).toMatchObject({ param: 'host', code: 'forbidden_host' })
    }
  },
)

test('the host that the server was started with is allowed', async () => {
  const reply = await ask('/v1/cache/stats', { host: 'box.lan:8801' }, 'box.lan')
  expect(reply.statusCode).toBe(200)
})

test('other routes do not care about the host', async () => {
  expect((await ask('/v1/models', { host: 'proxy.example' })).statusCode).toBe(200)
})

test.each(['http://localhost:3000', 'https://127.0.0.1', 'http://[::1]:5173'])(
  'pages of %s may read replies',
  async (origin) => {
    const reply = await ask('/v1/models', { origin })
    expect(reply.headers['access-control-allow-origin']).toBe(origin)
    expect(reply.headers.vary).toBe('origin')
    expect(reply.headers['access-control-expose-headers']).toContain('cache-status')
  },
)

test.each(['https://evil.example', 'http://localhost.evil.example', 'null', 'nonsense'])(
  'pages of %s may not',
  async (origin) => {
    const reply = await ask('/v1/models', { origin })
    expect(reply.headers).not.toHaveProperty('access-control-allow-origin')
  },
)

test('a preflight of a local page allows the headers that it asks for', async () => {
  const reply = await createServer(scriptedService()).inject({
    method: 'OPTIONS',
    url: '/v1/chat/completions',
    headers: {
      origin: 'http://localhost:3000',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type,x-stainless-os',
    },
  })
  expect(reply.statusCode).toBe(204)
  expect(reply.headers['access-control-allow-headers']).toBe('content-type,x-stainless-os')
})

test('a preflight of a foreign page allows nothing', async () => {
  const reply = await createServer(scriptedService()).inject({
    method: 'OPTIONS',
    url: '/v1/cache/evict',
    headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
  })
  expect(reply.headers).not.toHaveProperty('access-control-allow-origin')
  expect(reply.headers).not.toHaveProperty('access-control-allow-methods')
})

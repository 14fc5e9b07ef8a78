import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openKeyFile } from '../../../src/api/auth/key-file.ts'
import { createServer } from '../../../src/api/server.ts'
import { limits } from '../../../src/config/limits.ts'
import { scriptedService } from '../../support/scripted-service.ts'

const alice = 'sk-alice-000000000000'
const bob = 'sk-bob-00000000000000'
const carol = 'sk-carol-000000000000'
const root = 'sk-root-0000000000000'
const text = `
# who may come in
${alice}
${bob}  search   # shares with Carol
${carol} search admin
${root} admin
`

function open(content = text, pollMs = 60_000) {
  const folder = mkdtempSync(join(tmpdir(), 'prefixd-keys-'))
  // Also of a file that is refused.
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'keys')
  writeFileSync(path, content)
  const reloads: number[] = []
  const reloaded = Promise.withResolvers<number>()
  const refusals: unknown[] = []
  const keys = openKeyFile({
    path,
    secret: Buffer.alloc(32, 7),
    pollMs,
    onReloaded: (count) => {
      reloads.push(count)
      reloaded.resolve(count)
    },
    onRefused: (error) => refusals.push(error),
  })
  onTestFinished(() => keys.close())
  const service = scriptedService()
  return {
    path,
    keys,
    reloads,
    reloaded,
    refusals,
    service,
    server: createServer(service, { keys }),
  }
}

const bearer = (key: string) => ({ authorization: `Bearer ${key}` })
const chat = { messages: [{ role: 'user', content: 'hello' }] }

test('without a key every route but /health is closed, unknown ones included', async () => {
  const { server } = open()
  for (const url of ['/health', '/v1/health']) {
    expect((await server.inject({ url })).statusCode).toBe(200)
  }
  for (const url of ['/v1/models', '/v1/cache/stats', '/v1/workers', '/nowhere']) {
    const reply = await server.inject({ url })
    expect(reply.statusCode).toBe(401)
    expect(reply.headers).toMatchObject({
      'x-prefixd-error': 'PREFIXD_E_API_KEY',
      'www-authenticate': 'Bearer',
      'x-should-retry': 'false',
    })
    expect(reply.json().error).toMatchObject({
      type: 'authentication_error',
      code: 'invalid_api_key',
      param: null,
    })
  }
  const url = '/v1/chat/completions'
  expect((await server.inject({ method: 'POST', url, payload: chat })).statusCode).toBe(401)
})

test('a refused body is not even parsed: the key is asked for first', async () => {
  const { server } = open()
  const headers = { 'content-type': 'application/json' }
  const reply = await server.inject({
    method: 'POST',
    url: '/v1/chat/completions',
    headers,
    payload: '{"broken',
  })
  expect(reply.statusCode).toBe(401)
})

test.each([
  ['Authorization: Bearer', bearer(alice)],
  ['a lower-case scheme', { authorization: `bearer ${alice}` }],
  ['x-api-key', { 'x-api-key': alice }],
  ['x-api-key beside a token for somebody else', { ...bearer('other'), 'x-api-key': alice }],
])('a key comes in as %s', async (_how, headers) => {
  const { server, service } = open()
  const url = '/v1/chat/completions'
  const reply = await server.inject({ method: 'POST', url, headers, payload: chat })
  expect(reply.statusCode).toBe(200)
  expect(service.requests).toHaveLength(1)
})

test.each([
  ['unknown', bearer(`${alice}0`)],
  ['cut short', bearer(alice.slice(0, -1))],
  ['empty', { authorization: 'Bearer ' }],
  ['of another scheme', { authorization: `Basic ${alice}` }],
  ['far too long', bearer('x'.repeat(limits.apiKeyLengthMax + 1))],
])('a key that is %s stays outside, and is not quoted in the answer', async (_how, headers) => {
  const { server } = open()
  const reply = await server.inject({ url: '/v1/models', headers })
  expect(reply.statusCode).toBe(401)
  expect(reply.body).not.toContain('alice')
})

test('a request that pins what it saves wants an admin key', async () => {
  const { server, service } = open()
  const ask = (key: string) => {
    const headers = { ...bearer(key), 'x-prefixd-cache': 'pin' }
    return server.inject({ method: 'POST', url: '/v1/chat/completions', headers, payload: chat })
  }
  const refused = await ask(alice)
  expect(refused.statusCode).toBe(403)
  expect(refused.json().error).toMatchObject({ code: 'admin_key_required' })
  expect((await ask(root)).statusCode).toBe(200)
  expect(service.requests.map(({ cache }) => cache.pin)).toEqual([true])
})

test('what shows or changes the cache wants an admin key', async () => {
  const { server } = open()
  for (const url of ['/v1/cache/stats', '/v1/cache/prefixes', '/v1/workers']) {
    const reply = await server.inject({ url, headers: bearer(alice) })
    expect(reply.statusCode).toBe(403)
    expect(reply.json().error).toMatchObject({
      type: 'permission_error',
      code: 'admin_key_required',
    })
    for (const key of [root, carol]) {
      expect((await server.inject({ url, headers: bearer(key) })).statusCode).toBe(200)
    }
  }
  const evict = { method: 'POST', url: '/v1/cache/evict', payload: { all: true } } as const
  expect((await server.inject({ ...evict, headers: bearer(bob) })).statusCode).toBe(403)
})

test('the process that started the service has a key of its own', async () => {
  const { server, keys } = open()
  const headers = bearer(keys.ownKey)
  expect((await server.inject({ url: '/v1/cache/stats', headers })).statusCode).toBe(200)
})

test('a preflight needs no key, and a refusal can be read by the local page that caused it', async () => {
  const { server } = open()
  const origin = 'http://localhost:3000'
  const preflight = await server.inject({
    method: 'OPTIONS',
    url: '/v1/chat/completions',
    headers: { origin, 'access-control-request-headers': 'authorization' },
  })
  expect(preflight.statusCode).toBe(204)
  const refused = await server.inject({ url: '/v1/models', headers: { origin } })
  expect(refused.statusCode).toBe(401)
  expect(refused.headers['access-control-allow-origin']).toBe(origin)
})

test('a changed file takes effect: new keys come in, removed ones stay outside', async () => {
  const { server, keys, path, reloads } = open()
  writeFileSync(path, `${bob}\n`)
  keys.reload()
  expect(reloads).toEqual([1])
  const status = async (key: string) =>
    (await server.inject({ url: '/v1/models', headers: bearer(key) })).statusCode
  expect([await status(alice), await status(bob)]).toEqual([401, 200])
})

test('the file is watched while the service runs', async () => {
  const { keys, path, reloaded } = open(text, 5)
  writeFileSync(path, `${bob} search\n`)
  expect(await reloaded.promise).toBe(1)
  expect(keys.identify(alice)).toBeNull()
})

test('a changed file that is wrong changes nothing and is reported', async () => {
  const { keys, path, reloads, refusals } = open()
  for (const wrong of ['', 'short\n', '\n# nothing\n']) {
    writeFileSync(path, wrong)
    keys.reload()
  }
  rmSync(path)
  keys.reload()
  writeFileSync(path, '')
  expect(reloads).toEqual([])
  expect(refusals).toHaveLength(4)
  expect(keys.identify(alice)).not.toBeNull()
})

test.each([
  ['no key at all', '\n# nothing\n', /has no key/],
  ['a short key', `${alice}\nshort\n`, /:2: a key has 16 to 512/],
  ['a key with a tab-separated third word', `${alice}\tone\ttwo\n`, /:1: behind the key/],
  ['a group with a space', `${alice} one two admin\n`, /:1: behind the key/],
  ['a group with other signs', `${alice} a/b\n`, /:1: a group has/],
  ['a key twice', `${alice}\n\n${alice} admin\n`, /:3: the key of line 1 is here again/],
  ['a key outside ASCII', 'schlüssel-schlüssel\n', /:1: a key has/],
])('a file with %s is refused, and the error never shows a key', (_what, content, message) => {
  let refusal: unknown
  try {
    open(content)
  } catch (error) {
    refusal = error
  }
  expect(refusal).toMatchObject({ code: 'PREFIXD_E_CONFIG', field: 'api-keys' })
  expect((refusal as Error).message).toMatch(message)
  expect((refusal as Error).message).not.toContain(alice)
})

test('callers with the same group share a salt; nobody else does', () => {
  const { keys } = open()
  const salts = [alice, bob, carol, root, keys.ownKey].map((key) => keys.identify(key)?.salt)
  expect(salts[1]).toBe(salts[2])
  expect(new Set(salts).size).toBe(4)
  for (const salt of salts) expect(salt).toMatch(/^[0-9a-f]{64}$/)
})

test('names of callers say nothing of keys and salts', () => {
  const { keys } = open()
  expect(keys.identify(bob)?.tenant).toBe('search')
  const caller = keys.identify(alice)
  expect(caller?.tenant).toMatch(/^key-[0-9a-f]{8}$/)
  expect(caller?.salt).not.toContain(caller?.tenant?.slice(4))
})

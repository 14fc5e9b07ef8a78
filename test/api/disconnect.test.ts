import { request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { ClientGone } from '../../src/api/errors.ts'
import { createServer } from '../../src/api/server.ts'
import { hanging, plannedOf, scriptedService, untilAborted } from '../support/scripted-service.ts'
import { startApi } from '../support/start-api.ts'

const messages = [{ role: 'user', content: 'hi' }]

/** Sends a request that the caller can cut at any time. */
function send(port: number, path: string, payload: object) {
  const request = httpRequest({
    port,
    path,
    host: '127.0.0.1',
    method: 'POST',
    headers: { 'content-type': 'application/json' },
  })
  // Cutting it makes the request fail, as it should.
  request.on('error', () => {})
  request.end(JSON.stringify(payload))
  return request
}

test.each([
  ['a whole chat reply', '/v1/chat/completions', { messages, stream: false }],
  ['a streamed chat', '/v1/chat/completions', { messages, stream: true }],
  ['a whole completion', '/v1/completions', { prompt: 'hi' }],
  ['a streamed completion', '/v1/completions', { prompt: 'hi', stream: true }],
])('a client that goes away during %s aborts the work at once', async (_name, path, payload) => {
  const { script, started, aborted } = hanging()
  const { port } = await startApi(scriptedService(script))
  const request = send(port, path, payload)
  await started
  request.destroy()
  expect(await aborted).toBeInstanceOf(ClientGone)
})

test('a client that goes away while it waits in the queue is not computed for', async () => {
  const waiting = Promise.withResolvers<void>()
  const aborted = Promise.withResolvers<void>()
  const service = scriptedService(async function* (_request, signal) {
    waiting.resolve()
    await untilAborted(signal).catch(() => aborted.resolve())
    yield plannedOf()
  })
  const { port } = await startApi(service)
  const request = send(port, '/v1/chat/completions', { messages, stream: true })
  await waiting.promise
  request.destroy()
  await aborted.promise
})

test('the prompts after the one that was cut are never begun', async () => {
  const { script, started, aborted } = hanging()
  const service = scriptedService(script)
  const { port } = await startApi(service)
  const request = send(port, '/v1/completions', { prompt: ['one', 'two', 'three'] })
  await started
  request.destroy()
  await aborted
  expect(service.requests).toHaveLength(1)
})

test('an answer that ran to its end is not aborted afterwards', async () => {
  const service = scriptedService()
  let signal: AbortSignal | undefined
  const { script } = service
  service.script = (request, given) => {
    signal = given
    return script(request, given)
  }
  const { url } = await startApi(service)
  const reply = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', connection: 'close' },
    body: JSON.stringify({ messages }),
  })
  await reply.text()
  expect(signal?.aborted).toBe(false)
})

test('closing lets a running answer finish, and turns new requests away', async () => {
  const release = Promise.withResolvers<void>()
  const started = Promise.withResolvers<void>()
  const service = scriptedService()
  const { script } = service
  service.script = async function* (request, signal) {
    started.resolve()
    await release.promise
    yield* script(request, signal)
  }
  const { server, url } = await startApi(service, { limits: { drainMs: 60_000 } })
  const running = fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ messages }),
  })
  await started.promise
  const closed = server.close()
  release.resolve()
  const reply = await running
  expect(reply.status).toBe(200)
  expect(await reply.json()).toMatchObject({ choices: [{ message: { content: 'Hello world' } }] })
  await closed
  await expect(fetch(`${url}/health`)).rejects.toThrow()
})

test('closing ends what does not finish in time with an error that may be retried', async () => {
  const { script, started } = hanging()
  const { server, url } = await startApi(scriptedService(script), { limits: { drainMs: 5 } })
  const running = fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ messages }),
  })
  await started
  await server.close()
  const reply = await running
  expect(reply.status).toBe(503)
  expect(await reply.json()).toMatchObject({ error: { code: 'shutting_down' } })
  expect(reply.headers.get('retry-after')).toBe('1')
})

test.each([false, true])('a cut request is in the log as 499 (stream: %s)', async (stream) => {
  const { script, started } = hanging()
  const logged = Promise.withResolvers<unknown>()
  const server = createServer(scriptedService(script), {
    logger: loggerOf((fields) => {
      if (fields.statusCode === 499) logged.resolve(fields)
    }),
    limits: { drainMs: 0 },
  })
  onTestFinished(() => server.close())
  await server.listen({ host: '127.0.0.1', port: 0 })
  const { port } = server.server.address() as AddressInfo
  const request = send(port, '/v1/chat/completions', { messages, stream })
  await started
  request.destroy()
  await logged.promise
})

function loggerOf(info: (fields: Readonly<Record<string, unknown>>) => void) {
  const silent = () => {}
  const logger = {
    level: 'info',
    fatal: silent,
    error: silent,
    warn: silent,
    info,
    debug: silent,
    trace: silent,
    silent,
    child: () => logger,
  }
  return logger
}

import { expect, test } from 'vitest'
import { EngineError } from '../../engines/errors.ts'
import { createServer } from '../../src/api/server.ts'
import { readSse } from '../support/read-sse.ts'
import {
  answering,
  failing,
  loadingService,
  plannedOf,
  receiptOf,
  type Script,
  scriptedService,
} from '../support/scripted-service.ts'
import { startApi } from '../support/start-api.ts'

const url = '/v1/chat/completions'
const body = { model: 'fake', messages: [{ role: 'user', content: 'hi' }], stream: true }
const withUsage = { ...body, stream_options: { include_usage: true } }

async function stream(script: Script, payload: object = body) {
  const reply = await createServer(scriptedService(script)).inject({ method: 'POST', url, payload })
  return { reply, data: [...readSse(reply.payload).data] }
}

test('chunks come in the order role, text, finish, DONE', async () => {
  const { reply, data } = await stream(answering(['Hel', 'lo']))
  expect(reply.headers['content-type']).toBe('text/event-stream')
  expect(reply.headers['cache-control']).toBe('no-cache')
  expect(data.pop()).toBe('[DONE]')
  const chunks = data as Record<string, never>[]
  expect(chunks.map((chunk) => chunk.choices)).toEqual([
    [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null, logprobs: null }],
    [{ index: 0, delta: { content: 'Hel' }, finish_reason: null, logprobs: null }],
    [{ index: 0, delta: { content: 'lo' }, finish_reason: null, logprobs: null }],
    [{ index: 0, delta: {}, finish_reason: 'stop', logprobs: null }],
  ])
  expect(new Set(chunks.map((chunk) => chunk.id)).size).toBe(1)
  for (const chunk of chunks) {
    expect(chunk).toMatchObject({ object: 'chat.completion.chunk', model: 'fake' })
    expect(chunk).not.toHaveProperty('usage')
  }
})

test('every chunk names the build of a model that was still loading', async () => {
  const server = createServer(loadingService())
  const reply = await server.inject({ method: 'POST', url, payload: withUsage })
  const chunks = [...readSse(reply.payload).data].slice(0, -1)
  expect(chunks).toHaveLength(5)
  for (const chunk of chunks) expect(chunk).toMatchObject({ system_fingerprint: 'fake 1' })
})

test('include_usage adds one chunk with usage and cache; all others say usage null', async () => {
  const { data } = await stream(answering(['a']), withUsage)
  expect(data.pop()).toBe('[DONE]')
  const last = data.pop()
  expect(last).toMatchObject({
    choices: [],
    usage: { prompt_tokens: 1024, prompt_tokens_details: { cached_tokens: 1000 } },
    cache: { status: 'hit', prefix: '9f2c41d07ab3', tokens: { restored: 1000 } },
    timings: { cache_n: 1000 },
  })
  expect(data).toHaveLength(3)
  for (const chunk of data) expect(chunk).toMatchObject({ usage: null })
})

test('the headers of a stream carry the plan', async () => {
  const { reply } = await stream(answering())
  expect(reply.headers['cache-status']).toBe('prefixd; hit; detail=ssd')
  expect(reply.headers['server-timing']).toBe(
    'load;dur=0.25, queue;dur=0.5, tokenize;dur=2, plan;dur=0.25, restore;dur=12.5;desc="estimate"',
  )
})

test('an error before the plan is a plain HTTP error', async () => {
  const error = new EngineError('PREFIXD_E_ENGINE_QUEUE_FULL', '64 requests wait already.')
  const script = failing(error)
  const reply = await createServer(scriptedService(script)).inject({
    method: 'POST',
    url,
    payload: body,
  })
  expect(reply.statusCode).toBe(429)
  expect(reply.headers['retry-after']).toBe('1')
  expect(reply.json().error).toEqual({
    message: '64 requests wait already.',
    type: 'rate_limit_error',
    param: null,
    code: 'queue_full',
  })
})

test('an error after the first byte is the last data line, without DONE', async () => {
  const { reply, data } = await stream(async function* () {
    yield plannedOf()
    yield { type: 'text', text: 'half' }
    throw new EngineError('PREFIXD_E_ENGINE_DIED', 'The worker died.')
  })
  expect(reply.statusCode).toBe(200)
  expect(data.at(-1)).toEqual({
    error: {
      message: 'The worker died.',
      type: 'unavailable_error',
      param: null,
      code: 'worker_restarting',
    },
  })
  expect(data).toHaveLength(3)
})

test('a stream that should have usage and gets no receipt ends with an error', async () => {
  const { data } = await stream(async function* () {
    yield plannedOf()
    yield { type: 'finish', finishReason: 'stop' }
  }, withUsage)
  expect(data.at(-1)).toMatchObject({ error: { type: 'api_error' } })
})

test('while prefill runs, comments tell that the server is alive and how far it is', async () => {
  const release = Promise.withResolvers<void>()
  const service = scriptedService(async function* () {
    yield plannedOf()
    yield { type: 'prefill', processedTokens: 512, totalTokens: 1024 }
    await release.promise
    yield { type: 'finish', finishReason: 'stop' }
    yield { type: 'receipt', receipt: receiptOf() }
  })
  const { url: base } = await startApi(service, { limits: { pingMs: 5 } })
  const reply = await post(base, body)
  let text = ''
  for await (const part of reply.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += part
    if (text.split(': prefill 512/1024').length > 2) release.resolve()
  }
  const { comments, data } = readSse(text)
  expect(comments.length).toBeGreaterThanOrEqual(2)
  expect(data.at(-1)).toBe('[DONE]')
})

test('a request that waits in the queue gets its headers and pings before its plan', async () => {
  const release = Promise.withResolvers<void>()
  const service = scriptedService(async function* (request, signal) {
    await release.promise
    yield* answering(['late'])(request, signal)
  })
  const { url: base } = await startApi(service, { limits: { pingMs: 5 } })
  const reply = await post(base, body)
  expect(reply.status).toBe(200)
  expect(reply.headers.has('cache-status')).toBe(false)
  release.resolve()
  const { data } = readSse(await reply.text())
  expect(data[1]).toMatchObject({ choices: [{ delta: { content: 'late' } }] })
})

test('text is on the wire as soon as it is known', async () => {
  const firstSeen = Promise.withResolvers<void>()
  const service = scriptedService(async function* () {
    yield plannedOf()
    yield { type: 'text', text: 'first' }
    // Without the client's word this answer never ends, so a server that holds text back hangs.
    await firstSeen.promise
    yield { type: 'text', text: 'second' }
    yield { type: 'finish', finishReason: 'length' }
    yield { type: 'receipt', receipt: receiptOf() }
  })
  const { url: base } = await startApi(service)
  const reply = await post(base, body)
  let text = ''
  for await (const part of reply.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    text += part
    if (text.includes('first')) firstSeen.resolve()
  }
  expect(text).toContain('second')
})

test('without include_usage the answer ends before its saves are confirmed', async () => {
  const confirmed = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<void>()
  const service = scriptedService(async function* () {
    yield plannedOf()
    yield { type: 'finish', finishReason: 'stop' }
    await confirmed.promise
    yield { type: 'receipt', receipt: receiptOf() }
    ended.resolve()
  })
  const { url: base } = await startApi(service)
  const { data } = readSse(await (await post(base, body)).text())
  expect(data.at(-1)).toBe('[DONE]')
  // And the pipeline still runs to its end.
  confirmed.resolve()
  await ended.promise
})

test('a reader that stops is given up, and its sequence let go', async () => {
  const released = Promise.withResolvers<void>()
  const service = scriptedService(async function* () {
    try {
      yield plannedOf()
      // Endless, and deaf to its signal: only the reader's pace and `return` can hold it.
      for (;;) yield { type: 'text', text: 'x'.repeat(65_536) }
    } finally {
      released.resolve()
    }
  })
  const { url: base } = await startApi(service, { limits: { sseStallMs: 50 } })
  const reply = await post(base, body)
  // Nobody reads the body: the sockets fill, and then nothing moves.
  await released.promise
  await reply.body?.cancel().catch(() => {})
})

const post = (base: string, payload: object) =>
  fetch(base + url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(payload),
  })

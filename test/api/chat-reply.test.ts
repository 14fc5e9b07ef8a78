import { expect, test } from 'vitest'
import { createServer } from '../../src/api/server.ts'
import {
  answering,
  loadingService,
  receiptOf,
  scriptedService,
} from '../support/scripted-service.ts'

const body = { model: 'fake', messages: [{ role: 'user', content: 'hi' }] }
const url = '/v1/chat/completions'

test('a whole reply has the shape that OpenAI clients expect', async () => {
  const server = createServer(scriptedService())
  const reply = await server.inject({ method: 'POST', url, payload: body })
  expect(reply.statusCode).toBe(200)
  expect(reply.json()).toMatchObject({
    id: expect.stringMatching(/^chatcmpl-/),
    object: 'chat.completion',
    created: expect.any(Number),
    model: 'fake',
    system_fingerprint: 'fake 1',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: 'Hello world', refusal: null },
        finish_reason: 'stop',
        logprobs: null,
      },
    ],
  })
})

test.each([url, '/v1/completions'])('%s names the build that was still loading', async (route) => {
  const payload = { ...body, prompt: 'hi' }
  const server = createServer(loadingService())
  const reply = await server.inject({ method: 'POST', url: route, payload })
  expect(reply.json()).toMatchObject({ system_fingerprint: 'fake 1' })
})

test('usage, cache and timings say what the receipt says, not what was planned', async () => {
  // The scripted plan promises a hit of 1,024 tokens.
  const receipt = receiptOf({
    restoredTokens: 512,
    computedTokens: 512,
    savedTokens: 500,
    status: 'partial',
    tier: 'ram',
    miss: { reason: 'corrupt', atToken: 512 },
    blocks: { hit: 2, total: 4, blockTokens: 256 },
  })
  const server = createServer(scriptedService(answering(['a'], receipt)))
  const reply = await server.inject({ method: 'POST', url, payload: body })
  const { usage, cache, timings } = reply.json()
  expect(usage).toEqual({
    prompt_tokens: 1024,
    completion_tokens: 2,
    total_tokens: 1026,
    prompt_tokens_details: { cached_tokens: 512, cache_write_tokens: 500 },
  })
  expect(cache).toEqual({
    status: 'partial',
    tier: 'ram',
    prefix: '9f2c41d07ab3',
    blocks: { hit: 2, total: 4, block_tokens: 256 },
    tokens: { restored: 512, computed: 512, saved: 500 },
    ms: {
      load: 0.25,
      queue: 0.5,
      tokenize: 2,
      plan: 0.25,
      restore: 11,
      prefill: 48,
      decode: 10,
      save: 3,
      ttft: 64,
    },
    miss: { reason: 'corrupt', at_token: 512 },
    reasons: ['all 1,024 tokens are stored'],
    hygiene: [],
    volatile: [],
  })
  expect(timings).toEqual({
    cache_n: 512,
    prompt_n: 512,
    prompt_ms: 48,
    prompt_per_token_ms: 0.094,
    prompt_per_second: 10_666.667,
    predicted_n: 2,
    predicted_ms: 10,
    predicted_per_token_ms: 5,
    predicted_per_second: 200,
  })
  expect(reply.headers['cache-status']).toBe('prefixd; fwd=partial; detail=ram')
})

test('every reply carries a request id, and the pipeline gets the same one', async () => {
  const service = scriptedService()
  const reply = await createServer(service).inject({ method: 'POST', url, payload: body })
  expect(reply.headers['x-request-id']).toMatch(/^req_[0-9a-z]+$/)
  expect(service.requests[0]?.requestId).toBe(reply.headers['x-request-id'])
})

test.each([
  [{ status: 'hit', tier: 'ssd', miss: null }, 'prefixd; hit; detail=ssd'],
  [
    { status: 'miss', tier: null, miss: { reason: 'never_seen', atToken: 0 } },
    'prefixd; fwd=miss; detail=never_seen',
  ],
  [
    { status: 'bypass', tier: null, miss: { reason: 'bypass', atToken: 0 } },
    'prefixd; fwd=bypass; detail=bypass',
  ],
] as const)('Cache-Status of %j is %s', async (receipt, header) => {
  const server = createServer(scriptedService(answering(['a'], receiptOf(receipt))))
  const reply = await server.inject({ method: 'POST', url, payload: body })
  expect(reply.headers['cache-status']).toBe(header)
})

test('Server-Timing of a whole reply has the measured times', async () => {
  const reply = await createServer(scriptedService()).inject({ method: 'POST', url, payload: body })
  expect(reply.headers['server-timing']).toBe(
    'load;dur=0.25, queue;dur=0.5, tokenize;dur=2, plan;dur=0.25, restore;dur=11, ' +
      'prefill;dur=48, decode;dur=10, save;dur=3',
  )
})

test('defaults are those of OpenAI, and what the client says wins', async () => {
  const service = scriptedService()
  const server = createServer(service)
  await server.inject({ method: 'POST', url, payload: body })
  expect(service.requests[0]).toMatchObject({
    model: 'fake',
    maxTokens: null,
    stop: [],
    cache: { read: true, write: true },
    ignoreEnd: false,
    sampling: {
      temperature: 1,
      topP: 1,
      topK: 0,
      minP: 0,
      repeatPenalty: 1,
      frequencyPenalty: 0,
      presencePenalty: 0,
    },
  })
  const payload = {
    ...body,
    max_tokens: 7,
    max_completion_tokens: 0,
    stop: ['a', 'b'],
    temperature: 0,
    top_p: 0.5,
    top_k: -1,
    min_p: 0.1,
    repetition_penalty: 1.1,
    frequency_penalty: -1,
    presence_penalty: 2,
    seed: 2 ** 32 - 1,
    ignore_eos: true,
  }
  await server.inject({ method: 'POST', url, payload })
  expect(service.requests[1]).toMatchObject({
    maxTokens: 0,
    stop: ['a', 'b'],
    ignoreEnd: true,
    sampling: {
      temperature: 0,
      topP: 0.5,
      topK: 0,
      minP: 0.1,
      repeatPenalty: 1.1,
      frequencyPenalty: -1,
      presencePenalty: 2,
      seed: 0,
    },
  })
})

test.each([
  [{}, {}, { read: true, write: true, spill: true, ttlMs: null, salt: '' }],
  [{ cache_prompt: false }, {}, { read: false, write: false }],
  [{}, { 'x-prefixd-cache': 'no-read' }, { read: false, write: true }],
  [
    { cache_prompt: true },
    { 'x-prefixd-cache': 'No-Read, no-write' },
    { read: false, write: false },
  ],
])('body %j with headers %j lets the cache do %j', async (fields, headers, cache) => {
  const service = scriptedService()
  const payload = { ...body, ...fields }
  await createServer(service).inject({ method: 'POST', url, payload, headers })
  expect(service.requests[0]?.cache).toMatchObject(cache)
})

test('fields that nobody here knows are ignored', async () => {
  const payload = { ...body, user: 'me', store: false, metadata: { a: 1 }, prompt_cache_key: 'k' }
  const reply = await createServer(scriptedService()).inject({ method: 'POST', url, payload })
  expect(reply.statusCode).toBe(200)
})

test('an alias is answered under the name of its model', async () => {
  const payload = { ...body, model: 'default' }
  const reply = await createServer(scriptedService()).inject({ method: 'POST', url, payload })
  expect(reply.json().model).toBe('fake')
})

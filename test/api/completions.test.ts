import { expect, test } from 'vitest'
import { createServer } from '../../src/api/server.ts'
import { limits } from '../../src/config/limits.ts'
import { readSse } from '../support/read-sse.ts'
import { answering, receiptOf, scriptedService } from '../support/scripted-service.ts'

const url = '/v1/completions'

async function complete(payload: object, service = scriptedService()) {
  const reply = await createServer(service).inject({ method: 'POST', url, payload })
  return { reply, service }
}

test('a text prompt gives one choice in the shape of text completions', async () => {
  const { reply, service } = await complete({ model: 'fake', prompt: 'Once' })
  expect(reply.statusCode).toBe(200)
  expect(reply.json()).toMatchObject({
    id: expect.stringMatching(/^cmpl-/),
    object: 'text_completion',
    model: 'fake',
    choices: [{ index: 0, text: 'Hello world', logprobs: null, finish_reason: 'stop' }],
    usage: { prompt_tokens: 1024, completion_tokens: 2, total_tokens: 1026 },
    cache: { status: 'hit' },
  })
  expect(service.requests[0]).toMatchObject({
    prompt: { kind: 'text', text: 'Once' },
    maxTokens: 16,
  })
})

test('token ids reach the pipeline as they are', async () => {
  const { service } = await complete({ prompt: [1, 2, 4294967295], max_tokens: 0 })
  expect(service.requests).toHaveLength(1)
  expect(service.requests[0]?.prompt).toEqual({
    kind: 'tokens',
    tokens: Uint32Array.of(1, 2, 4294967295),
  })
  expect(service.requests[0]?.maxTokens).toBe(0)
})

test.each([
  [
    ['a', 'b'],
    ['text', 'text'],
  ],
  [
    [[1, 2], [3]],
    ['tokens', 'tokens'],
  ],
])('prompt %j is one choice each, in order, with one sum of usage', async (prompt, kinds) => {
  const { reply, service } = await complete({ prompt })
  expect(service.requests.map((request) => request.prompt.kind)).toEqual(kinds)
  expect(new Set(service.requests.map((request) => request.requestId)).size).toBe(2)
  const { choices, usage, cache } = reply.json()
  expect(choices.map((choice: { index: number }) => choice.index)).toEqual([0, 1])
  expect(usage).toEqual({
    prompt_tokens: 2048,
    completion_tokens: 4,
    total_tokens: 2052,
    prompt_tokens_details: { cached_tokens: 2000, cache_write_tokens: 40 },
  })
  expect(cache).toMatchObject({ status: 'hit', prefix: null, blocks: { hit: 8, total: 8 } })
})

test('several prompts of which one hit and one missed are a partial hit', async () => {
  const service = scriptedService()
  service.script = (request, signal) => {
    const missed = service.requests.length === 1
    const receipt = missed
      ? receiptOf({ status: 'miss', tier: null, restoredTokens: 0 })
      : receiptOf({ tier: 'ram' })
    return answering(['a'], receipt)(request, signal)
  }
  const { reply } = await complete({ prompt: ['a', 'b'] }, service)
  expect(reply.json().cache).toMatchObject({ status: 'partial', tier: 'ram' })
})

test('a stream of several prompts has their choices in order and one usage chunk', async () => {
  const { reply } = await complete({
    prompt: ['a', 'b'],
    stream: true,
    stream_options: { include_usage: true },
  })
  const data = [...readSse(reply.payload).data] as Record<string, never>[]
  expect(data.pop()).toBe('[DONE]')
  expect(data.pop()).toMatchObject({ choices: [], usage: { prompt_tokens: 2048 } })
  expect(data.flatMap((chunk) => chunk.choices)).toEqual([
    { index: 0, text: 'Hello', logprobs: null, finish_reason: null },
    { index: 0, text: ' world', logprobs: null, finish_reason: null },
    { index: 0, text: '', logprobs: null, finish_reason: 'stop' },
    { index: 1, text: 'Hello', logprobs: null, finish_reason: null },
    { index: 1, text: ' world', logprobs: null, finish_reason: null },
    { index: 1, text: '', logprobs: null, finish_reason: 'stop' },
  ])
})

test.each([
  [{ prompt: [1, 'a'] }, 'prompt'],
  [{ prompt: [] }, 'prompt'],
  [{ prompt: [[1], []] }, 'prompt'],
  [{ prompt: [-1] }, 'prompt'],
  [{ prompt: [1.5] }, 'prompt'],
  [{ prompt: {} }, 'prompt'],
  [{}, 'prompt'],
  [{ prompt: Array(limits.promptsPerRequest + 1).fill('a') }, 'prompt'],
])('prompt of %j is refused, and the message says what a prompt may be', async (payload, param) => {
  const { reply, service } = await complete(payload)
  expect(reply.statusCode).toBe(400)
  expect(reply.json().error.param).toMatch(new RegExp(`^${param}`))
  expect(service.requests).toHaveLength(0)
})

test.each([
  [{ echo: true, logprobs: 2 }],
  [{ best_of: 2 }],
  [{ best_of: 3, n: 2 }],
  [{ suffix: 'end', prompt: [1] }],
])('%j is refused as not supported', async (fields) => {
  const { reply, service } = await complete({ prompt: 'a', ...fields })
  expect(reply.json().error).toMatchObject({
    param: Object.keys(fields)[0],
    code: 'unsupported_parameter',
  })
  expect(service.requests).toHaveLength(0)
})

test('what is asked of sampling and choices reaches the pipeline', async () => {
  const { service } = await complete({
    prompt: 'a',
    ...{ n: 3, best_of: 3, logprobs: 0, logit_bias: { 7: -100, 8: 2.5 }, suffix: 'z' },
  })
  expect(service.requests[0]).toMatchObject({
    prompt: { kind: 'gap', text: 'a', suffix: 'z' },
    choices: 3,
    topLogprobs: 0,
    logitBias: [
      { token: 7, bias: -100 },
      { token: 8, bias: 2.5 },
    ],
  })
})

test('echo puts the prompt in front of each choice, whole and streamed', async () => {
  const { reply } = await complete({ prompt: 'ab', echo: true })
  expect(reply.json().choices[0].text).toBe('abHello world')
  const tokens = await complete({ prompt: [99, 100], echo: true })
  expect(tokens.reply.json().choices[0].text).toBe('cdHello world')
  const streamed = await complete({ prompt: ['a', 'b'], echo: true, stream: true })
  const chunks = readSse(streamed.reply.body).data.filter((chunk) => chunk !== '[DONE]')
  const texts = chunks.map(({ choices }) => (choices as { text: string }[])[0]?.text)
  expect(texts.join('')).toBe('aHello worldbHello world')
})

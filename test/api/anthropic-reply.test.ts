import { expect, test } from 'vitest'
import { EngineError } from '../../engines/errors.ts'
import { createServer } from '../../src/api/server.ts'
import type { GenerateEvent } from '../../src/pipeline/types.ts'
import {
  answering,
  failing,
  plannedOf,
  receiptOf,
  type Script,
  scriptedService,
} from '../support/scripted-service.ts'

const body = { model: 'fake', max_tokens: 16, messages: [{ role: 'user', content: 'hi' }] }
const finish = (over: Partial<Extract<GenerateEvent, { type: 'finish' }>> = {}): GenerateEvent => ({
  type: 'finish',
  finishReason: 'stop',
  ...over,
})

/** Plan, restore, these events, receipt. */
const saying = (...events: GenerateEvent[]): Script =>
  async function* () {
    yield plannedOf()
    yield { type: 'restored', restoredTokens: 1000 }
    yield* events
    yield { type: 'receipt', receipt: receiptOf() }
  }

async function post(
  payload: object,
  script: Script = answering(),
  url = '/v1/messages?beta=true',
  limits = {},
) {
  const service = scriptedService(script)
  const server = createServer(service, { limits })
  const headers = { 'anthropic-version': '2023-06-01', 'anthropic-beta': 'some-2026, other' }
  const reply = await server.inject({ method: 'POST', url, payload, headers })
  return { service, reply, json: reply.body.startsWith('{') ? reply.json() : null }
}

/** Events of a stream; each one's name must be its type. */
function eventsOf(text: string): Record<string, unknown>[] {
  const frames = text.split('\n\n')
  expect(frames.pop()).toBe('')
  return frames.map((frame) => {
    const [, name, data] = /^event: (.*)\ndata: (.*)$/.exec(frame) ?? []
    const event = JSON.parse(data ?? 'null')
    expect(event.type).toBe(name)
    return event
  })
}

async function streamOf(script: Script, limits = {}) {
  const { reply } = await post({ ...body, stream: true }, script, '/v1/messages', limits)
  expect(reply.headers['content-type']).toMatch('text/event-stream')
  return eventsOf(reply.body)
}

const toolEvents: GenerateEvent[] = [
  { type: 'reasoning', text: 'think' },
  { type: 'reasoning', text: 'ing' },
  { type: 'text', text: 'Let me ' },
  { type: 'text', text: 'look.' },
  { type: 'tool_call', index: 0, id: 'call_1', name: 'weather' },
  { type: 'tool_arguments', index: 0, text: '{"city":' },
  { type: 'tool_arguments', index: 0, text: '"Graz"}' },
  { type: 'tool_call', index: 1, id: 'call_2', name: 'now' },
  finish({ finishReason: 'tool_calls' }),
]

test('a whole message has thinking, text and calls as blocks, and all figures', async () => {
  const { json, reply } = await post(body, saying(...toolEvents))
  expect(json).toMatchObject({
    type: 'message',
    role: 'assistant',
    model: 'fake',
    content: [
      { type: 'thinking', thinking: 'thinking', signature: expect.stringMatching(/^.{20,}$/) },
      { type: 'text', text: 'Let me look.', citations: null },
      { type: 'tool_use', id: 'call_1', name: 'weather', input: { city: 'Graz' } },
      { type: 'tool_use', id: 'call_2', name: 'now', input: {} },
    ],
    stop_reason: 'tool_use',
    stop_sequence: null,
    usage: {
      input_tokens: 4,
      cache_creation_input_tokens: 20,
      cache_read_input_tokens: 1000,
      cache_creation: { ephemeral_5m_input_tokens: 20, ephemeral_1h_input_tokens: 0 },
      output_tokens: 2,
    },
    cache: { status: 'hit' },
  })
  expect(json.id).toMatch(/^msg_/)
  expect(reply.headers['request-id']).toMatch(/^req_/)
  expect(reply.headers['cache-status']).toBe('prefixd; hit; detail=ssd')
})

test('a stream has its events in order, one open block at a time', async () => {
  const events = await streamOf(saying(...toolEvents))
  const short = events.map((event) => {
    const { type, index, delta, content_block } = event as {
      type: string
      index?: number
      delta?: { type?: string }
      content_block?: { type: string }
    }
    return [type, index, content_block?.type ?? delta?.type]
      .filter((x) => x !== undefined)
      .join(' ')
  })
  expect(short).toEqual([
    'message_start',
    'content_block_start 0 thinking',
    'content_block_delta 0 thinking_delta',
    'content_block_delta 0 thinking_delta',
    'content_block_delta 0 signature_delta',
    'content_block_stop 0',
    'content_block_start 1 text',
    'content_block_delta 1 text_delta',
    'content_block_delta 1 text_delta',
    'content_block_stop 1',
    'content_block_start 2 tool_use',
    'content_block_delta 2 input_json_delta',
    'content_block_delta 2 input_json_delta',
    'content_block_stop 2',
    'content_block_start 3 tool_use',
    'content_block_stop 3',
    'message_delta',
    'message_stop',
  ])
  expect(events[0]).toMatchObject({
    message: {
      content: [],
      stop_reason: null,
      usage: { input_tokens: 24, cache_read_input_tokens: 1000, cache_creation_input_tokens: 0 },
    },
  })
  expect(events.at(-2)).toMatchObject({
    delta: { stop_reason: 'tool_use', stop_sequence: null },
    usage: {
      input_tokens: 4,
      cache_read_input_tokens: 1000,
      cache_creation_input_tokens: 20,
      output_tokens: 2,
    },
  })
})

test.each([
  [finish(), 'end_turn', null],
  [finish({ finishReason: 'length' }), 'max_tokens', null],
  [finish({ finishReason: 'tool_calls' }), 'tool_use', null],
  [finish({ stopString: 'END' }), 'stop_sequence', 'END'],
])('%j ends a message as %s', async (event, stop_reason, stop_sequence) => {
  const { json } = await post(body, saying(event))
  expect(json).toMatchObject({ stop_reason, stop_sequence, content: [] })
  const events = await streamOf(saying(event))
  expect(events.at(-2)).toMatchObject({ delta: { stop_reason, stop_sequence } })
})

test('a call that the token limit cut off is left out of a whole message', async () => {
  const { json } = await post(
    body,
    saying(
      { type: 'tool_call', index: 0, id: 'call_1', name: 'weather' },
      { type: 'tool_arguments', index: 0, text: '{"city":' },
      finish({ finishReason: 'length' }),
    ),
  )
  expect(json).toMatchObject({ content: [], stop_reason: 'max_tokens' })
})

test('the request becomes the pipeline’s words', async () => {
  const { service } = await post({
    ...body,
    max_tokens: 0,
    temperature: 0.5,
    top_k: 7,
    stop_sequences: ['a', 'b'],
    system: [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral', ttl: '1h' } }],
    metadata: { user_id: 'user_1_account_2_session_abc' },
    context_management: {},
    container: 'x',
  })
  expect(service.requests[0]).toMatchObject({
    maxTokens: 0,
    sampling: { temperature: 0.5, topK: 7 },
    stop: ['a', 'b'],
    session: 'abc',
    cache: { read: true, write: true, ttlMs: 3_600_000 },
  })
})

test('count_tokens counts what would be computed, with the worker’s own tokenizer', async () => {
  const { max_tokens: _, ...prompt } = body
  const { json } = await post(prompt, answering(), '/v1/messages/count_tokens?beta=true')
  // The scripted service renders `<user>hi`, a token for each byte.
  expect(json).toEqual({ input_tokens: 8 })
})

test.each([
  ['refuses', 'user'],
  ['leaves out', 'user'],
  ['writes', 'system'],
])('a template that %s a late system message gets it as %s', async (what, role) => {
  const service = scriptedService()
  const { render } = service
  const asked: unknown[] = []
  service.render = async (model, input) => {
    asked.push(input)
    if (what === 'refuses') throw new EngineError('PREFIXD_E_ENGINE_TEMPLATE', 'roles!')
    return what === 'writes' ? render(model, input) : ''
  }
  const server = createServer(service)
  const messages = [...body.messages, { role: 'system', content: 'late' }]
  for (let turn = 0; turn < 2; turn++) {
    const payload = { ...body, messages }
    const reply = await server.inject({ method: 'POST', url: '/v1/messages', payload })
    expect(reply.statusCode).toBe(200)
  }
  expect(asked).toHaveLength(1)
  const { prompt } = service.requests[1] ?? {}
  if (prompt?.kind !== 'chat') throw new Error('a chat must be rendered')
  expect(prompt.input.messages.at(-1)).toMatchObject({
    role,
    content: expect.stringContaining('late'),
  })
})

const toolResult = {
  type: 'tool_result',
  tool_use_id: 't1',
  content: [{ type: 'text', text: 'Blue.', cache_control: { type: 'permanent' } }],
}

test.each([
  [{ tool_choice: { type: 'any' } }, /^tool_choice/],
  [{ tool_choice: { type: 'tool', name: 'x' } }, /^tool_choice/],
  [{ output_config: { format: { type: 'json_schema' } } }, /^output_config\.format\.schema/],
  [{ output_format: { type: 'xml' } }, /^output_format\.type/],
  [{ messages: [{ role: 'assistant', content: ' ' }] }, /^messages must end with text/],
  [{ max_tokens: undefined }, /^max_tokens is missing/],
  [{ max_tokens: -1 }, /^max_tokens/],
  [{ stop_sequences: [''] }, /^stop_sequences\[0\]/],
  [{ messages: [{ role: 'user', content: [{ type: 'image' }] }] }, /^messages\[0\]\.content\[0\]/],
  [{ messages: [{ role: 'tool', content: '' }] }, /^messages\[0\]\.role/],
  [{ cache_control: { type: 'ephemeral', ttl: '1w' } }, /^cache_control\.ttl/],
  [{ cache_control: { type: 'permanent' } }, /^cache_control\.type must be "ephemeral"/],
  [{ cache_control: {} }, /^cache_control\.type/],
  [
    { messages: [{ role: 'user', content: [toolResult] }] },
    /^messages\[0\]\.content\[0\]\.content\[0\]/,
  ],
])('a bad body is refused by the field’s name: %j', async (bad, message) => {
  const { reply, json, service } = await post({ ...body, ...bad })
  expect(reply.statusCode).toBe(400)
  expect(json).toEqual({
    type: 'error',
    error: { type: 'invalid_request_error', message: expect.stringMatching(message) },
    request_id: reply.headers['request-id'],
  })
  expect(reply.headers['x-should-retry']).toBe('false')
  expect(service.requests).toHaveLength(0)
})

test('errors have Anthropic’s envelope and types', async () => {
  const loading = await post(body, failing(new EngineError('PREFIXD_E_ENGINE_LOADING', 'wait')))
  expect(loading.reply.statusCode).toBe(503)
  expect(loading.json.error).toEqual({ type: 'overloaded_error', message: 'wait' })
  expect(loading.reply.headers).toHaveProperty('retry-after')
  const nobody = await post({ ...body, model: 'nobody' })
  expect(nobody.json.error.type).toBe('not_found_error')
  const elsewhere = await post({}, answering(), '/v1/messages/batches')
  expect(elsewhere.json).toMatchObject({ type: 'error', error: { type: 'not_found_error' } })
})

test('an error after the first byte is an event, and the last one', async () => {
  const events = await streamOf(async function* () {
    yield plannedOf()
    yield { type: 'restored', restoredTokens: 0 }
    yield { type: 'text', text: 'half' }
    throw new EngineError('PREFIXD_E_ENGINE_DIED', 'The worker died.')
  })
  expect(events.at(-1)).toMatchObject({
    type: 'error',
    error: { type: 'overloaded_error', message: 'The worker died.' },
  })
  expect(events.map(({ type }) => type)).not.toContain('message_stop')
})

test('a long prefill is filled with ping events', async () => {
  const pinged = Promise.withResolvers<void>()
  const server = createServer(
    scriptedService(async function* () {
      yield plannedOf()
      yield { type: 'restored', restoredTokens: 0 }
      await pinged.promise
      yield finish()
      yield { type: 'receipt', receipt: receiptOf() }
    }),
    { limits: { pingMs: 1 } },
  )
  const reply = await server.inject({
    method: 'POST',
    url: '/v1/messages',
    payload: { ...body, stream: true },
    payloadAsStream: true,
  })
  let text = ''
  for await (const chunk of reply.stream()) {
    text += chunk
    if (text.includes('event: ping\ndata: {"type":"ping"}\n\n')) pinged.resolve()
  }
  const types = eventsOf(text).map(({ type }) => type)
  expect(types.filter((type) => type !== 'ping')).toEqual([
    'message_start',
    'message_delta',
    'message_stop',
  ])
})

test('models have Anthropic’s shape for those who send anthropic-version', async () => {
  const server = createServer(scriptedService())
  const get = async (url: string, headers = {}) => (await server.inject({ url, headers })).json()
  const headers = { 'anthropic-version': '2023-06-01' }
  const list = await get('/v1/models', headers)
  expect(list).toMatchObject({ has_more: false, first_id: 'fake', last_id: 'fake' })
  expect(list.data[0]).toMatchObject({ type: 'model', id: 'fake', max_input_tokens: 8192 })
  expect(await get('/v1/models/default', headers)).toEqual(list.data[0])
  expect(await get('/v1/models')).toMatchObject({ object: 'list' })
  expect(await get('/v1/models/x', headers)).toMatchObject({
    type: 'error',
    error: { type: 'not_found_error' },
  })
})

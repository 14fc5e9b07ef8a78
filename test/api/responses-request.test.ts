import { expect, test } from 'vitest'
import { createServer } from '../../src/api/server.ts'
import { sealReasoning } from '../../src/chat/from-responses.ts'
import { answering, scriptedService } from '../support/scripted-service.ts'

async function post(body: object, url = '/v1/responses') {
  const service = scriptedService(answering(['pong']))
  const payload = { model: 'fake', ...body }
  const reply = await createServer(service).inject({ method: 'POST', url, payload })
  const prompt = service.requests[0]?.prompt
  return {
    status: reply.statusCode,
    json: reply.json(),
    asked: service.requests[0],
    input: prompt?.kind === 'chat' ? prompt.input : null,
  }
}

/** As captured from Codex 0.169.0, shortened. */
const codex = {
  input: [
    { type: 'message', role: 'developer', content: [{ type: 'input_text', text: 'rules' }] },
    { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'say pong' }] },
  ],
  tools: [
    { type: 'function', name: 'shell', description: 'runs', strict: false, parameters: {} },
    { type: 'namespace', name: 'mcp', tools: [] },
    { type: 'web_search', external_web_access: false },
  ],
  tool_choice: 'auto',
  parallel_tool_calls: true,
  reasoning: { summary: 'auto' },
  store: false,
  include: ['reasoning.encrypted_content'],
  prompt_cache_key: 'session-1',
  client_metadata: { 'x-codex-installation-id': 'a' },
}

test('a request of Codex is rendered without what only a vendor can run', async () => {
  const { status, input, asked, json } = await post(codex)
  expect(status).toBe(200)
  expect(input?.messages).toEqual([
    { role: 'system', content: 'rules' },
    { role: 'user', content: 'say pong' },
  ])
  expect(input?.tools).toEqual([
    { type: 'function', function: { name: 'shell', description: 'runs', parameters: {} } },
  ])
  expect(asked?.session).toBe('session-1')
  expect(json.tools).toHaveLength(1)
})

test('every key of the response is there, with null where it is empty', async () => {
  const { json } = await post({ input: 'hi' })
  const keys = `id object created_at completed_at status incomplete_details model
    previous_response_id instructions output error tools tool_choice truncation
    parallel_tool_calls text top_p presence_penalty frequency_penalty top_logprobs temperature
    reasoning usage max_output_tokens max_tool_calls store background service_tier metadata
    safety_identifier prompt_cache_key`
  expect(Object.keys(json)).toEqual(expect.arrayContaining(keys.split(/\s+/)))
  expect(json).toMatchObject({ object: 'response', store: false, error: null })
})

test('one turn of the model is one message again: reasoning, text and parallel calls', async () => {
  const { input } = await post({
    instructions: 'rules',
    input: [
      { role: 'user', content: 'go' },
      { type: 'reasoning', summary: [], encrypted_content: sealReasoning('hm') },
      { type: 'message', role: 'assistant', phase: 'commentary', content: 'I look.' },
      { type: 'function_call', call_id: 'a', name: 'look', arguments: '{}' },
      { type: 'function_call', call_id: 'b', name: 'look', arguments: '{"x":1}' },
      { type: 'function_call_output', call_id: 'a', output: 'one' },
      { type: 'function_call_output', call_id: 'b', output: [{ type: 'input_text', text: 'two' }] },
    ],
  })
  expect(input?.messages).toMatchObject([
    { role: 'system', content: 'rules' },
    { role: 'user', content: 'go' },
    {
      role: 'assistant',
      content: 'I look.',
      reasoning_content: 'hm',
      tool_calls: [{ id: 'a' }, { id: 'b' }],
    },
    { role: 'tool', tool_call_id: 'a', content: 'one' },
    { role: 'tool', tool_call_id: 'b', content: 'two' },
  ])
  expect(JSON.stringify(input)).not.toContain('phase')
})

test.each([
  ['previous_response_id', { input: 'hi', previous_response_id: 'resp_1' }],
  ['conversation', { input: 'hi', conversation: 'conv_1' }],
  ['tool_choice', { input: 'hi', tool_choice: { type: 'web_search' } }],
  ['input[0]', { input: [{ type: 'item_reference', id: 'msg_1' }] }],
  ['input[0].content[0]', { input: [{ role: 'user', content: [{ type: 'input_image' }] }] }],
])('%s is refused by name', async (param, body) => {
  const { status, json } = await post(body)
  expect(status).toBe(400)
  expect(json.error).toMatchObject({ param, code: 'unsupported_parameter' })
})

test.each([
  ['input', {}],
  ['input[0].role', { input: [{ content: 'hi' }] }],
  ['input[0].content', { input: [{ role: 'user' }] }],
  ['input[0].type', { input: [{ type: {}, role: 'user', content: 'hi' }] }],
  ['input[0].content[0].type', { input: [{ role: 'user', content: [{ text: 'hi' }] }] }],
  ['input[0].call_id', { input: [{ type: 'function_call' }] }],
  ['tools[0].name', { input: 'hi', tools: [{ type: 'function' }] }],
])('a bad %s is named', async (param, body) => {
  const { status, json } = await post(body)
  expect(status).toBe(400)
  expect(json.error).toMatchObject({ param, code: 'invalid_value' })
})

test('the cache options that were asked for are in the reply', async () => {
  const options = { mode: 'explicit', ttl: '12h' }
  const content = [
    { type: 'input_text', text: 'hi', prompt_cache_breakpoint: { mode: 'explicit' } },
  ]
  const marked = await post({ input: [{ role: 'user', content }], prompt_cache_options: options })
  expect(marked.json.prompt_cache_options).toEqual(options)
  expect(marked.asked?.cache).toMatchObject({ read: true, write: true, ttlMs: 12 * 3_600_000 })
  // Explicit, and nothing is marked: this request is not to be cached.
  const unmarked = await post({ input: 'hi', prompt_cache_options: { mode: 'explicit' } })
  expect(unmarked.json.prompt_cache_options).toEqual({ mode: 'explicit', ttl: '30m' })
  expect(unmarked.asked?.cache).toMatchObject({ read: false, write: false })
  expect((await post({ input: 'hi' })).json).not.toHaveProperty('prompt_cache_options')
})

test('what is only wished for is not refused: truncation, unknown includes, custom calls', async () => {
  const { status, json, input } = await post({
    input: [
      { role: 'user', content: 'go' },
      { type: 'custom_tool_call', call_id: 'a', name: 'patch', input: '*** Begin' },
      { type: 'custom_tool_call_output', call_id: 'a', output: 'done' },
    ],
    truncation: 'auto',
    include: ['web_search_call.results', 'of the future'],
  })
  expect(status).toBe(200)
  expect(json.truncation).toBe('disabled')
  expect(input?.messages.slice(1)).toMatchObject([
    { tool_calls: [{ function: { name: 'patch', arguments: '{"input":"*** Begin"}' } }] },
    { role: 'tool', content: 'done' },
  ])
})

test('max_output_tokens 0 asks for a prefill alone', async () => {
  const { asked } = await post({ input: 'hi', max_output_tokens: 0 })
  expect(asked?.maxTokens).toBe(0)
})

test('both counting routes count the rendered prompt', async () => {
  const expected = { object: 'response.input_tokens', input_tokens: '<user>hi'.length }
  const responses = await post({ input: 'hi' }, '/v1/responses/input_tokens')
  expect(responses.json).toEqual(expected)
  const messages = [{ role: 'user', content: 'hi' }]
  const chat = await post({ messages }, '/v1/chat/completions/input_tokens')
  expect(chat.json).toEqual(expected)
})

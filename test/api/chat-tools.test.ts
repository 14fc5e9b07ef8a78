import { expect, test } from 'vitest'
import { createServer } from '../../src/api/server.ts'
import type { GenerateEvent } from '../../src/pipeline/types.ts'
import { plannedOf, receiptOf, scriptedService } from '../support/scripted-service.ts'
import { startApi } from '../support/start-api.ts'

const events: readonly GenerateEvent[] = [
  { type: 'reasoning', text: 'I should ' },
  { type: 'reasoning', text: 'ask.' },
  { type: 'text', text: 'Let me look.' },
  { type: 'tool_call', index: 0, id: 'call_a', name: 'get_weather' },
  { type: 'tool_arguments', index: 0, text: '{"city"' },
  { type: 'tool_arguments', index: 0, text: ':"Graz" }' },
  { type: 'tool_call', index: 1, id: 'call_b', name: 'get_time' },
  { type: 'tool_arguments', index: 1, text: '{}' },
  { type: 'finish', finishReason: 'tool_calls' },
]

async function ask(body: object, said: readonly GenerateEvent[] = events) {
  const service = scriptedService(async function* () {
    yield plannedOf()
    yield* said
    yield { type: 'receipt', receipt: receiptOf() }
  })
  const { url } = await startApi(service)
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ messages: [{ role: 'user', content: 'hi' }], ...body }),
  })
  return { service, response }
}

test('a whole message has reasoning, text and calls, with their arguments byte for byte', async () => {
  const { response } = await ask({})
  const { choices } = (await response.json()) as { choices: unknown[] }
  expect(choices[0]).toMatchObject({
    finish_reason: 'tool_calls',
    message: {
      role: 'assistant',
      content: 'Let me look.',
      reasoning_content: 'I should ask.',
      tool_calls: [
        {
          id: 'call_a',
          type: 'function',
          function: { name: 'get_weather', arguments: '{"city":"Graz" }' },
        },
        { id: 'call_b', type: 'function', function: { name: 'get_time', arguments: '{}' } },
      ],
    },
  })
})

test('beside calls alone the content is null; without any, nothing tells of calls', async () => {
  const calls = await ask({}, events.slice(3))
  const plain = await ask({}, [{ type: 'finish', finishReason: 'stop' }])
  const messageOf = async ({ response }: typeof calls) => {
    const { choices } = (await response.json()) as { choices: { message: object }[] }
    return choices[0]?.message
  }
  const message = await messageOf(calls)
  expect(message).toMatchObject({ content: null, tool_calls: [{}, {}] })
  expect(message).not.toHaveProperty('reasoning_content')
  expect(await messageOf(plain)).toEqual({ role: 'assistant', content: '', refusal: null })
})

test('a stream tells the id and the name in the first piece of each call alone', async () => {
  const { response } = await ask({ stream: true })
  const lines = (await response.text()).split('\n').filter((line) => line.startsWith('data: {'))
  const deltas = lines.map((line) => {
    const { choices } = JSON.parse(line.slice(6)) as { choices: { delta: object }[] }
    return choices[0]?.delta
  })
  const open = (index: number, id: string, name: string) => ({
    tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }],
  })
  const piece = (index: number, text: string) => ({
    tool_calls: [{ index, function: { arguments: text } }],
  })
  expect(deltas).toEqual([
    { role: 'assistant', content: '' },
    { reasoning_content: 'I should ' },
    { reasoning_content: 'ask.' },
    { content: 'Let me look.' },
    open(0, 'call_a', 'get_weather'),
    piece(0, '{"city"'),
    piece(0, ':"Graz" }'),
    open(1, 'call_b', 'get_time'),
    piece(1, '{}'),
    {},
  ])
  expect(lines.at(-1)).toContain('"finish_reason":"tool_calls"')
})

test('reasoning has the name that the service is set to, whole and streamed', async () => {
  const thinking = async function* (): AsyncGenerator<GenerateEvent> {
    yield plannedOf()
    yield { type: 'reasoning', text: 'hm' }
    yield { type: 'text', text: 'pong' }
    yield { type: 'finish', finishReason: 'stop' }
    yield { type: 'receipt', receipt: receiptOf() }
  }
  const service = scriptedService(thinking)
  const server = createServer(service, { reasoningField: 'reasoning' })
  const post = (stream: boolean) => {
    const payload = { messages: [{ role: 'user', content: 'hi' }], stream }
    return server.inject({ method: 'POST', url: '/v1/chat/completions', payload })
  }
  expect((await post(false)).json().choices[0].message).toEqual({
    role: 'assistant',
    content: 'pong',
    refusal: null,
    reasoning: 'hm',
  })
  const { body } = await post(true)
  expect(body).toContain('"delta":{"reasoning":"hm"}')
  expect(body).not.toContain('reasoning_content')
})

test('parallel_tool_calls and reasoning_effort reach the pipeline in its own words', async () => {
  const { service } = await ask({ parallel_tool_calls: false, reasoning_effort: 'none' })
  const [request] = service.requests
  expect(request?.parallelToolCalls).toBe(false)
  expect(request?.prompt).toMatchObject({
    input: { templateArgs: { reasoning_effort: 'none', enable_thinking: false } },
  })
})

test.each([
  ['a name that is missing', { type: 'function' }],
  ['a name that is empty', { type: 'function', function: { name: '' } }],
  ['the shape of Responses', { type: 'function', name: 'look', parameters: {} }],
])('a tool with %s is refused: no model could call it', async (_, tool) => {
  const { response } = await ask({ tools: [{ type: 'web_search' }, tool] })
  expect(response.status).toBe(400)
  expect(await response.json()).toMatchObject({ error: { param: 'tools[1].function.name' } })
})

test.each([
  ['text', 'look()', 'messages[0].tool_calls'],
  ['calls without a name', [{ function: {} }], 'messages[0].tool_calls[0].function.name'],
])('%s in place of calls is refused, not written into the prompt', async (_, calls, param) => {
  const messages = [{ role: 'assistant', content: '', tool_calls: calls }]
  const { response } = await ask({ messages })
  expect(response.status).toBe(400)
  expect(await response.json()).toMatchObject({ error: { param } })
})

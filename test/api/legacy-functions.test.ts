/** Functions, as clients from before tools send them. */
import OpenAI from 'openai'
import { expect, test } from 'vitest'
import { createServer } from '../../src/api/server.ts'
import { scriptedService } from '../support/scripted-service.ts'
import { createServiceFolder } from '../support/start-service.ts'

const url = '/v1/chat/completions'
const weather = {
  name: 'get_weather',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
}
const question = { role: 'user', content: 'weather?' }

async function asked(body: object) {
  const service = scriptedService()
  const payload = { messages: [question], ...body }
  const reply = await createServer(service).inject({ method: 'POST', url, payload })
  const [request] = service.requests
  return { reply, request, input: request?.prompt.kind === 'chat' ? request.prompt.input : null }
}

test('functions become tools, one call an answer, and their messages calls and results', async () => {
  const { input, request } = await asked({
    functions: [weather],
    messages: [
      question,
      { role: 'assistant', content: null, function_call: { name: 'get_weather', arguments: '{}' } },
      { role: 'function', name: 'get_weather', content: 'rain' },
      {
        role: 'assistant',
        content: null,
        function_call: { name: 'get_weather', arguments: '{ }' },
      },
      { role: 'function', name: 'get_weather', content: 'sun' },
    ],
  })
  expect(request?.parallelToolCalls).toBe(false)
  expect(input?.tools).toEqual([{ type: 'function', function: weather }])
  const call = (id: string, json: string) => ({
    id,
    type: 'function',
    function: { name: 'get_weather', arguments: json },
  })
  expect(input?.messages).toEqual([
    question,
    { role: 'assistant', content: '', tool_calls: [call('call_1', '{}')] },
    { role: 'tool', name: 'get_weather', tool_call_id: 'call_1', content: 'rain' },
    { role: 'assistant', content: '', tool_calls: [call('call_2', '{ }')] },
    { role: 'tool', name: 'get_weather', tool_call_id: 'call_2', content: 'sun' },
  ])
})

test('function_call none leaves the functions out of the prompt', async () => {
  const { input } = await asked({ functions: [weather], function_call: 'none' })
  expect(input?.tools).toBeUndefined()
})

test('functions beside tools are refused by name, since one of them would be ignored', async () => {
  const tools = [{ type: 'function', function: weather }]
  const { reply } = await asked({ functions: [weather], tools })
  expect(reply.statusCode).toBe(400)
  expect(reply.json().error).toMatchObject({ param: 'functions', code: 'invalid_value' })
})

test('OpenAI’s SDK plays a loop of functions, whole and streamed, in their own shape', async () => {
  const { url: base } = await createServiceFolder().start()
  const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: 'local', maxRetries: 0 })
  const request = {
    model: 'fake',
    temperature: 0,
    max_tokens: 200,
    functions: [weather],
    messages: [{ role: 'user' as const, content: 'call get_weather' }],
  }
  const whole = await client.chat.completions.create(request)
  const [choice] = whole.choices
  expect(choice?.finish_reason).toBe('function_call')
  expect(choice?.message.tool_calls).toBeUndefined()
  const call = choice?.message.function_call
  expect(call).toMatchObject({ name: 'get_weather' })
  expect(JSON.parse(call?.arguments ?? '')).toHaveProperty('city')

  const stream = await client.chat.completions.create({ ...request, stream: true })
  let name = ''
  let json = ''
  let reason: string | null = null
  for await (const { choices } of stream) {
    expect(choices[0]?.delta).not.toHaveProperty('tool_calls')
    name += choices[0]?.delta.function_call?.name ?? ''
    json += choices[0]?.delta.function_call?.arguments ?? ''
    reason = choices[0]?.finish_reason ?? reason
  }
  expect({ name, arguments: json }).toEqual(call)
  expect(reason).toBe('function_call')

  const message = choice?.message as OpenAI.ChatCompletionMessageParam
  const result = { role: 'function' as const, name: 'get_weather', content: 'rain' }
  const messages = [...request.messages, message, result]
  const second = await client.chat.completions.create({ ...request, messages, max_tokens: 4 })
  const { prompt_tokens: prompt = 0, completion_tokens: answer = 0 } = whole.usage ?? {}
  expect(second.usage?.prompt_tokens_details?.cached_tokens).toBeGreaterThan(prompt + answer - 3)
})

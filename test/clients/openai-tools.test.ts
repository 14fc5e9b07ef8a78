/** The SDK that OpenAI publishes, unchanged, in tool loops with the service and the fake engine. */
import OpenAI from 'openai'
import { expect, test } from 'vitest'
import { createServiceFolder } from '../support/start-service.ts'

const tools: OpenAI.Chat.ChatCompletionTool[] = [
  {
    type: 'function',
    function: {
      name: 'get_weather',
      parameters: {
        type: 'object',
        properties: { city: { type: 'string' }, unit: { enum: ['c', 'f'] } },
        required: ['city', 'unit'],
      },
    },
  },
  { type: 'function', function: { name: 'get_time', parameters: { type: 'object' } } },
]

async function open() {
  const { url } = await createServiceFolder().start()
  return new OpenAI({ baseURL: `${url}/v1`, apiKey: 'local', maxRetries: 0 })
}

const ask = (content: string) => ({
  model: 'fake',
  temperature: 0,
  max_tokens: 400,
  tools,
  messages: [{ role: 'user' as const, content }],
})

type Message = OpenAI.Chat.ChatCompletionMessage & { readonly reasoning_content?: string }

test('a tool loop: the second prompt goes on where the first answer ended', async () => {
  const client = await open()
  const request = ask('Please think, then call get_weather.')
  const first = await client.chat.completions.create(request)
  const choice = first.choices[0]
  const message = choice?.message as Message
  expect(choice?.finish_reason).toBe('tool_calls')
  expect(message.content).toBe(null)
  expect(message.reasoning_content).toMatch(/^[a-z]{24}$/)
  const call = message.tool_calls?.[0]
  if (call?.type !== 'function') throw new Error('a function must be called')
  expect(call.id).toMatch(/^call_[0-9a-f]{24}$/)
  expect(call.function.name).toBe('get_weather')
  expect(call.function.arguments).toMatch(/^\{"city": "[a-z]{8}", "unit": "c"\}$/)

  const messages = [
    ...request.messages,
    message,
    { role: 'tool' as const, tool_call_id: call.id, content: 'It rains.' },
  ]
  const second = await client.chat.completions.create({ ...request, messages, max_tokens: 8 })
  const { prompt_tokens: prompt = 0, completion_tokens: answer = 0 } = first.usage ?? {}
  // All but the last token of the answer stands in the cache, and goes on in the next prompt.
  expect(second.usage?.prompt_tokens_details?.cached_tokens).toBeGreaterThanOrEqual(
    prompt + answer - 2,
  )
})

test('a stream says role, reasoning, calls and their arguments, and the reason, in order', async () => {
  const client = await open()
  const request = ask('Please think, then call get_weather and call get_time.')
  const stream = await client.chat.completions.create({ ...request, stream: true })
  const kinds: string[] = []
  const json = ['', '']
  for await (const { choices } of stream) {
    const { delta, finish_reason: reason } = choices[0] ?? { delta: {} }
    const call = delta?.tool_calls?.[0]
    const kind = reason ?? (call ? `call ${call.index}` : Object.keys(delta ?? {})[0])
    if (call?.id) expect(call).toMatchObject({ type: 'function', function: { arguments: '' } })
    json[call?.index ?? 0] += call?.function?.arguments ?? ''
    if (kind !== undefined && kinds.at(-1) !== kind) kinds.push(kind)
  }
  expect(kinds).toEqual(['role', 'reasoning_content', 'call 0', 'call 1', 'tool_calls'])
  expect(json.map((text) => Object.keys(JSON.parse(text) as object))).toEqual([
    ['city', 'unit'],
    [],
  ])
})

test('the SDK’s own tool runner calls the tool and goes on', async () => {
  const client = await open()
  const cities: string[] = []
  const runner = client.chat.completions.runTools({
    ...ask('call get_weather'),
    tools: [
      {
        type: 'function',
        function: {
          name: 'get_weather',
          description: 'The weather of a city.',
          parameters: { type: 'object', properties: { city: { type: 'string' } } },
          parse: JSON.parse,
          function: ({ city }: { city: string }) => {
            cities.push(city)
            return 'It rains.'
          },
        },
      },
    ],
  })
  expect(await runner.finalContent()).not.toBe('')
  expect(cities).toEqual([expect.stringMatching(/^[a-z]{8}$/)])
})

test('parallel_tool_calls: false ends the answer with its first call', async () => {
  const client = await open()
  const request = ask('call get_weather, call get_time')
  const both = await client.chat.completions.create(request)
  expect(both.choices[0]?.message.tool_calls).toHaveLength(2)
  const one = await client.chat.completions.create({ ...request, parallel_tool_calls: false })
  expect(one.choices[0]?.message.tool_calls).toHaveLength(1)
  expect(one.choices[0]?.finish_reason).toBe('tool_calls')
})

test('a call that max_tokens cuts off ends with length, and keeps what it has', async () => {
  const client = await open()
  const cut = await client.chat.completions.create({ ...ask('call get_weather'), max_tokens: 60 })
  expect(cut.choices[0]?.finish_reason).toBe('length')
  expect(cut.choices[0]?.message.content).toBe(null)
  expect(cut.choices[0]?.message.tool_calls).toMatchObject([{ function: { name: 'get_weather' } }])
})

test('stop strings are looked for in visible text alone', async () => {
  const client = await open()
  const request = { ...ask('call get_weather'), stop: ['city', 'get_weather'] }
  const { choices } = await client.chat.completions.create(request)
  expect(choices[0]?.finish_reason).toBe('tool_calls')
})

test('tool_choice none, or tools that nobody here can run, leave text', async () => {
  const client = await open()
  const request = { ...ask('call get_weather'), max_tokens: 8 }
  const none = await client.chat.completions.create({ ...request, tool_choice: 'none' })
  expect(none.choices[0]?.message.tool_calls).toBe(undefined)
  expect(none.choices[0]?.message.content).not.toBe('')
})

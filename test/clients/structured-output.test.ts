/** Formats and forced calls through the SDKs that OpenAI and Anthropic publish, unchanged. */
import { tmpdir } from 'node:os'
import Anthropic from '@anthropic-ai/sdk'
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod'
import OpenAI, { BadRequestError } from 'openai'
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod'
import { Compile } from 'typebox/schema'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import {
  createServiceFolder,
  fakeFlags,
  realFlags,
  type TestService,
} from '../support/start-service.ts'

const folder = createServiceFolder(tmpdir(), afterAll)
let service: TestService
beforeAll(async () => {
  service = await folder.start({ ...fakeFlags, ctx: '16384' })
})
const openai = () => new OpenAI({ baseURL: `${service.url}/v1`, apiKey: 'local', maxRetries: 0 })
const anthropic = () => new Anthropic({ baseURL: service.url, apiKey: 'local', maxRetries: 0 })

const Trip = z.object({
  city: z.string().min(1).max(12),
  days: z.int().min(1).max(30),
  kind: z.enum(['work', 'holiday']),
  stops: z.array(z.object({ at: z.string().regex(/^\d{2}:\d{2}$/) })).max(3),
  note: z.string().nullable(),
})
const ask = (content: string) => ({ messages: [{ role: 'user' as const, content }] })
// Without a seed the fake may think first, for as long as it is in the mood to.
const request = { model: 'fake', max_tokens: 600, seed: 1, ...ask('Plan a trip.') }

const weather = {
  type: 'object',
  properties: {
    city: { type: 'string', enum: ['Graz', 'Oslo'] },
    days: { type: 'integer', minimum: 1, maximum: 14 },
  },
  required: ['city', 'days'],
  additionalProperties: false,
}
const note = { type: 'object', properties: { text: { type: 'string', maxLength: 8 } } }
const chatTools = [
  { type: 'function' as const, function: { name: 'get_weather', parameters: weather } },
  { type: 'function' as const, function: { name: 'take_note', parameters: note } },
]
const schemaOf: Record<string, object> = { get_weather: weather, take_note: note }
const obeys = (name: string, json: unknown): boolean => Compile(schemaOf[name] ?? {}).Check(json)

type Choice = OpenAI.Chat.ChatCompletion.Choice | undefined
const callsOf = (choice: Choice): [string, unknown][] =>
  (choice?.message.tool_calls ?? []).map((call) => {
    if (call.type !== 'function') throw new Error('a function must be called')
    return [call.function.name, JSON.parse(call.function.arguments)]
  })

describe('formats', () => {
  test('chat completions are parsed by the SDK', async () => {
    const format = zodResponseFormat(Trip, 'trip')
    const reply = await openai().chat.completions.parse({ ...request, response_format: format })
    expect(Trip.parse(reply.choices[0]?.message.parsed)).toBeDefined()
    expect(reply.choices[0]?.finish_reason).toBe('stop')
  })

  test('responses are parsed by the SDK, and echo their format', async () => {
    const format = zodTextFormat(Trip, 'trip')
    const reply = await openai().responses.parse({
      model: 'fake',
      input: 'Plan a trip.',
      text: { format },
    })
    expect(Trip.parse(reply.output_parsed)).toBeDefined()
    expect(reply.text?.format).toMatchObject({ type: 'json_schema', name: 'trip' })
  })

  test('messages are parsed by the SDK', async () => {
    // It takes limits of lengths and numbers out of the schema, so there are none.
    const Answer = z.object({ kind: z.enum(['work', 'holiday']), notes: z.array(z.string()) })
    const output_config = { format: zodOutputFormat(Answer) }
    const reply = await anthropic().messages.parse({ ...request, output_config })
    expect(Answer.parse(reply.parsed_output)).toBeDefined()
    expect(reply.stop_reason).toBe('end_turn')
  })

  test('json_object is any object, and a stream brings the same', async () => {
    const response_format = { type: 'json_object' as const }
    const whole = await openai().chat.completions.create({ ...request, response_format })
    const text = whole.choices[0]?.message.content ?? ''
    expect(JSON.parse(text)).toBeTypeOf('object')
    const stream = openai().chat.completions.stream({ ...request, response_format })
    expect(await stream.finalContent()).toBe(text)
  })

  test.each([
    [{ json_schema: weather }, (text: string) => obeys('get_weather', JSON.parse(text))],
    [{ guided_json: weather }, (text: string) => obeys('get_weather', JSON.parse(text))],
    [{ grammar: 'root ::= "a" [0-9]{3} | "b"' }, (text: string) => /^(a\d{3}|b)$/.test(text)],
    [{ guided_regex: 'v\\d+\\.(0|5)' }, (text: string) => /^v\d+\.(0|5)$/.test(text)],
    [{ structured_outputs: { choice: ['yes', 'no'] } }, (text: string) => /^(yes|no)$/.test(text)],
  ])(
    'llama-server’s and vLLM’s fields hold chats and completions alike: %j',
    async (more, fits) => {
      const chat = await service.post('/v1/chat/completions', { ...request, ...more })
      const text = await service.post('/v1/completions', { prompt: 'A:', max_tokens: 400, ...more })
      const inChat = (await chat.json()) as OpenAI.Chat.ChatCompletion
      const inText = (await text.json()) as OpenAI.Completion
      expect(inChat.choices[0]?.message.content).toSatisfy(fits)
      expect(inText.choices[0]?.text).toSatisfy(fits)
    },
  )

  test('thinking comes before the format', async () => {
    const grammar = 'root ::= "yes" | "no"'
    const more = { ...ask('Please think.'), grammar }
    const reply = await service.post('/v1/chat/completions', { ...request, ...more })
    const { choices } = (await reply.json()) as OpenAI.Chat.ChatCompletion
    expect(choices[0]?.message).toMatchObject({
      content: expect.stringMatching(/^(yes|no)$/),
      reasoning_content: expect.stringMatching(/./),
    })
  })

  test('the prompt does not depend on them: it is found in the cache', async () => {
    const long = { ...request, ...ask('A prompt of several blocks. '.repeat(20)) }
    await openai().chat.completions.create(long)
    const format = zodResponseFormat(Trip, 'trip')
    const { usage } = await openai().chat.completions.parse({ ...long, response_format: format })
    expect(usage?.prompt_tokens_details?.cached_tokens).toBe((usage?.prompt_tokens ?? 0) - 1)
  })
})

describe('forced calls', () => {
  test('required: nothing but calls, each with arguments of its schema', async () => {
    const forced = { ...request, tools: chatTools, tool_choice: 'required' as const }
    const reply = await openai().chat.completions.create(forced)
    const calls = callsOf(reply.choices[0])
    expect(reply.choices[0]?.finish_reason).toBe('tool_calls')
    expect(reply.choices[0]?.message.content).toBe(null)
    expect(calls.length).toBeGreaterThan(0)
    for (const [name, json] of calls) expect(obeys(name, json)).toBe(true)
  })

  test('a named function, and no second call where that is not wanted', async () => {
    const reply = await openai().chat.completions.create({
      ...request,
      tools: chatTools,
      tool_choice: { type: 'function', function: { name: 'get_weather' } },
      parallel_tool_calls: false,
    })
    const calls = callsOf(reply.choices[0])
    expect(calls.map(([name]) => name)).toEqual(['get_weather'])
    expect(obeys('get_weather', calls[0]?.[1])).toBe(true)
  })

  test('allowed_tools leaves out the others, and they stay in the prompt', async () => {
    const free = { ...request, tools: chatTools }
    const allowed = { mode: 'required' as const, tools: [named('take_note')] }
    const tool_choice = { type: 'allowed_tools' as const, allowed_tools: allowed }
    const before = await openai().chat.completions.create({ ...free, max_tokens: 1 })
    const reply = await openai().chat.completions.create({ ...free, tool_choice })
    for (const [name] of callsOf(reply.choices[0])) expect(name).toBe('take_note')
    expect(reply.usage?.prompt_tokens).toBe(before.usage?.prompt_tokens)
  })

  test('strict with auto: a call that the model makes by itself obeys its schema', async () => {
    const strict = chatTools.map((tool) => ({
      ...tool,
      function: { ...tool.function, strict: true },
    }))
    const asked = { ...request, ...ask('What about the weather?'), tools: strict }
    const reply = await openai().chat.completions.create(asked)
    const calls = callsOf(reply.choices[0])
    expect(calls[0]?.[0]).toBe('get_weather')
    for (const [name, json] of calls) expect(obeys(name, json)).toBe(true)
    const free = await openai().chat.completions.create({ ...asked, ...ask('Just say pong.') })
    expect(free.choices[0]?.message.content).toMatch(/./)
  })

  test('an answer that is cut off has the arguments as far as they came', async () => {
    const reply = await openai().chat.completions.create({
      ...request,
      tools: chatTools,
      tool_choice: named('get_weather'),
      max_tokens: 64,
    })
    const call = reply.choices[0]?.message.tool_calls?.[0]
    expect(reply.choices[0]?.finish_reason).toBe('length')
    expect(call).toMatchObject({ function: { name: 'get_weather' } })
  })

  test('responses have the same, and echo the choice', async () => {
    const tools = chatTools.map(({ function: it }) => ({
      ...it,
      type: 'function' as const,
      strict: false,
    }))
    const tool_choice = { type: 'function' as const, name: 'get_weather' }
    const asked = { model: 'fake', input: 'Plan.', tools, tool_choice, parallel_tool_calls: false }
    const reply = await openai().responses.create(asked)
    expect(reply.tool_choice).toEqual(tool_choice)
    const [call, ...more] = reply.output.filter(({ type }) => type !== 'reasoning')
    expect(more).toEqual([])
    if (call?.type !== 'function_call') throw new Error('a function must be called')
    expect(call.name).toBe('get_weather')
    expect(obeys(call.name, JSON.parse(call.arguments))).toBe(true)
  })

  test('Anthropic’s any and tool, one call at a time', async () => {
    const tools = Object.entries(schemaOf).map(([name, input_schema]) => ({
      name,
      input_schema: input_schema as Anthropic.Tool.InputSchema,
    }))
    const one = { disable_parallel_tool_use: true }
    for (const tool_choice of [
      { type: 'any' as const, ...one },
      { type: 'tool' as const, name: 'get_weather', ...one },
    ]) {
      const reply = await anthropic().messages.create({ ...request, tools, tool_choice })
      expect(reply.stop_reason).toBe('tool_use')
      const [call, ...more] = reply.content.filter(({ type }) => type !== 'thinking')
      expect(more).toEqual([])
      if (call?.type !== 'tool_use') throw new Error('a tool must be called')
      expect(obeys(call.name, call.input)).toBe(true)
      if (tool_choice.type === 'tool') expect(call.name).toBe('get_weather')
    }
  })
})

const named = (name: string) => ({ type: 'function' as const, function: { name } })

describe('schemas that no model can be held to', () => {
  const age = { type: 'integer', multipleOf: 3.7 }
  const schema = { type: 'object', properties: { age }, required: ['age'] }

  test('are refused with their path, also for a stream', async () => {
    for (const stream of [false, true]) {
      const json_schema = { name: 'person', schema }
      const asked = openai().chat.completions.create({
        ...request,
        stream,
        response_format: { type: 'json_schema', json_schema },
      })
      await expect(asked).rejects.toBeInstanceOf(BadRequestError)
      await expect(asked).rejects.toMatchObject({
        code: 'invalid_json_schema',
        param: 'response_format.json_schema.schema.properties.age.multipleOf',
      })
    }
  })

  test('are named by the place of the tool, in every dialect', async () => {
    const chat = { tools: [{ type: 'function', function: { name: 'f', parameters: schema } }] }
    const flat = { tools: [{ type: 'function', name: 'f', parameters: schema }] }
    const cases: readonly (readonly [string, object, RegExp])[] = [
      [
        'chat/completions',
        { ...request, ...chat, tool_choice: 'required' },
        /^tools\[0\]\.function\.parameters\.properties\.age\.multipleOf/,
      ],
      [
        'responses',
        { model: 'fake', input: 'x', ...flat, tool_choice: 'required' },
        /^tools\[0\]\.parameters\.properties\.age/,
      ],
      [
        'messages',
        { ...request, tools: [{ name: 'f', input_schema: schema }], tool_choice: { type: 'any' } },
        /^tools\[0\]\.input_schema\.properties\.age/,
      ],
    ]
    for (const [route, body, message] of cases) {
      const reply = await service.post(`/v1/${route}`, body)
      expect(reply.status).toBe(400)
      expect(await reply.json()).toMatchObject({
        error: { message: expect.stringMatching(message) },
      })
    }
  })

  test('a grammar that is none is refused with its line and column', async () => {
    const reply = await service.post('/v1/chat/completions', { ...request, grammar: 'root ::= (' })
    expect(reply.status).toBe(400)
    expect(await reply.json()).toMatchObject({
      error: {
        code: 'invalid_grammar',
        param: 'grammar',
        message: expect.stringMatching(/Line 1, column 11/),
      },
    })
  })
})

test('a real model keeps to a format and to a forced call', async () => {
  const { url } = await createServiceFolder().start(realFlags())
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'local', maxRetries: 0 })
  const model = (await client.models.list()).data[0]?.id ?? ''
  const asked = { model, max_tokens: 200, ...ask('Plan two days of holiday in Graz.') }
  const Short = z.object({ city: z.string().max(20), days: z.int().min(1).max(30) })
  const format = zodResponseFormat(Short, 'trip')
  const parsed = await client.chat.completions.parse({ ...asked, response_format: format })
  expect(Short.parse(parsed.choices[0]?.message.parsed)).toBeDefined()
  const reply = await client.chat.completions.create({
    ...asked,
    tools: chatTools,
    tool_choice: named('get_weather'),
    parallel_tool_calls: false,
  })
  const calls = callsOf(reply.choices[0])
  expect(calls.map(([name, json]) => [name, obeys(name, json)])).toEqual([['get_weather', true]])
})

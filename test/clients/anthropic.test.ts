/** The SDK that Anthropic publishes, unchanged, against the service and the fake engine. */
import Anthropic, {
  APIError,
  AuthenticationError,
  BadRequestError,
  NotFoundError,
} from '@anthropic-ai/sdk'
import { expect, test } from 'vitest'
import { EngineError } from '../../engines/errors.ts'
import { owner } from '../../src/api/auth/caller.ts'
import { ClientGone } from '../../src/api/errors.ts'
import type { GenerateEvent } from '../../src/pipeline/types.ts'
import {
  answering,
  failing,
  hanging,
  plannedOf,
  receiptOf,
  type Script,
  scriptedService,
} from '../support/scripted-service.ts'
import { startApi } from '../support/start-api.ts'
import { createServiceFolder, realFlags } from '../support/start-service.ts'

const clientOf = (baseURL: string, maxRetries = 0) =>
  new Anthropic({ baseURL, apiKey: 'local', maxRetries })

async function scripted(script: Script = answering(), maxRetries = 0) {
  const service = scriptedService(script)
  const { url } = await startApi(service)
  return { service, client: clientOf(url, maxRetries) }
}

const ask = (content: string) => ({
  model: 'fake',
  max_tokens: 8,
  temperature: 0,
  messages: [{ role: 'user' as const, content }],
})

/** Three numbers that must be the whole prompt. */
const promptOf = (usage: Anthropic.Usage): number =>
  usage.input_tokens +
  (usage.cache_read_input_tokens ?? 0) +
  (usage.cache_creation_input_tokens ?? 0)

test('two turns with the fake engine: the second one reads the first from the cache', async () => {
  const { url } = await createServiceFolder().start()
  const client = clientOf(url)
  const request = { ...ask('Say pong, '.repeat(60)), system: 'You are a careful engineer.' }
  const first = await client.messages.create(request)
  expect(first).toMatchObject({ type: 'message', role: 'assistant', stop_reason: 'max_tokens' })
  expect(first.usage.output_tokens).toBe(8)
  expect(first.usage.cache_read_input_tokens).toBe(0)
  expect(first.usage.cache_creation_input_tokens).toBeGreaterThan(0)

  const messages = [
    ...request.messages,
    { role: 'assistant' as const, content: first.content },
    { role: 'user' as const, content: 'Again.' },
  ]
  const counted = await client.messages.countTokens({ model: request.model, messages })
  const second = await client.messages.create({ ...request, messages })
  expect(second.usage.cache_read_input_tokens).toBeGreaterThanOrEqual(promptOf(first.usage) - 1)
  expect(promptOf(second.usage)).toBeGreaterThan(counted.input_tokens)
  const { input_tokens: all } = await client.messages.countTokens({
    model: request.model,
    messages,
    system: request.system,
  })
  expect(promptOf(second.usage)).toBe(all)
})

test('a stream with the fake engine assembles the message that a whole reply is', async () => {
  const { url } = await createServiceFolder().start()
  const client = clientOf(url)
  const whole = await client.messages.create(ask('Say pong, '.repeat(60)))
  const stream = client.messages.stream(ask('Say pong, '.repeat(60)))
  const starts: Anthropic.Usage[] = []
  stream.on('streamEvent', (event) => {
    if (event.type === 'message_start') starts.push({ ...event.message.usage })
  })
  const message = await stream.finalMessage()
  expect(message.content).toEqual(whole.content)
  expect(message.stop_reason).toBe(whole.stop_reason)
  expect(promptOf(message.usage)).toBe(promptOf(whole.usage))
  // What was restored is confirmed before the prefill, so the first event has it already.
  expect(starts[0]?.cache_read_input_tokens).toBe(message.usage.cache_read_input_tokens)
  expect(message.usage.cache_read_input_tokens).toBeGreaterThan(0)
})

test.each([true, false])(
  'diagnostics say what ended a shared prefix (stream: %s)',
  async (stream) => {
    const { client } = await scripted()
    const send = (content: string, previous_message_id: string | null) => {
      const request = { ...ask(content), diagnostics: { previous_message_id } }
      return stream
        ? client.messages.stream(request).finalMessage()
        : client.messages.create(request)
    }
    const first = await send('hi', null)
    expect(first.diagnostics).toBe(null)
    expect((await send('hi', first.id)).diagnostics).toBe(null)
    expect((await send('hello', first.id)).diagnostics).toEqual({
      cache_miss_reason: { type: 'messages_changed', cache_missed_input_tokens: 24 },
    })
    expect((await client.messages.create(ask('hi'))).diagnostics).toBe(null)
  },
)

test('with a real model a session’s turns, and the next session, share their prompt', async () => {
  const { url } = await createServiceFolder().start(realFlags())
  const client = clientOf(url)
  const { data } = await client.models.list()
  const model = data[0]?.id ?? ''
  /** As Claude Code sends it: the billing line differs between sessions, the breakpoint moves. */
  const session = (digits: string): Anthropic.TextBlockParam[] => [
    {
      type: 'text',
      text: `x-anthropic-billing-header: cc_version=2.1.330.${digits}; cc_entrypoint=cli;`,
    },
    {
      type: 'text',
      text: 'You are a careful engineer. '.repeat(40),
      cache_control: { type: 'ephemeral' },
    },
  ]
  const turn = async (system: Anthropic.TextBlockParam[], messages: Anthropic.MessageParam[]) =>
    client.messages.stream({ model, max_tokens: 8, system, messages }).finalMessage()

  const question: Anthropic.MessageParam = { role: 'user', content: 'Say pong.' }
  const first = await turn(session('41e'), [question])
  expect(first.content).toMatchObject([{ type: 'text', text: expect.stringMatching(/./) }])
  const second = await turn(session('41e'), [
    question,
    { role: 'assistant', content: first.content },
    {
      role: 'user',
      content: [{ type: 'text', text: 'Again.', cache_control: { type: 'ephemeral' } }],
    },
  ])
  expect(second.usage.cache_read_input_tokens).toBeGreaterThan(0.95 * promptOf(first.usage))
  const other = await turn(session('77b'), [{ role: 'user', content: 'Count to three.' }])
  expect(other.usage.cache_read_input_tokens).toBeGreaterThan(0.75 * promptOf(first.usage))
})

test('max_tokens 0 warms the cache and says nothing', async () => {
  const { url } = await createServiceFolder().start()
  const client = clientOf(url)
  const request = ask('Say pong, '.repeat(60))
  const warm = await client.messages.create({ ...request, max_tokens: 0 })
  expect(warm).toMatchObject({ content: [], stop_reason: 'max_tokens' })
  expect(warm.usage.output_tokens).toBe(0)
  const next = await client.messages.create(request)
  expect(next.usage.cache_read_input_tokens).toBe(promptOf(warm.usage) - 1)
})

test('a stop sequence ends the message and is named', async () => {
  const { url } = await createServiceFolder().start()
  const client = clientOf(url)
  const { content } = await client.messages.create(ask('pong'))
  const [block] = content
  if (block?.type !== 'text') throw new Error('the fake engine writes text')
  const stop = block.text.slice(2, 4)
  const stopped = await client.messages.create({ ...ask('pong'), stop_sequences: [stop] })
  expect(stopped).toMatchObject({ stop_reason: 'stop_sequence', stop_sequence: stop })
})

const toolEvents: GenerateEvent[] = [
  { type: 'reasoning', text: 'I should ask.' },
  { type: 'text', text: 'Let me look.' },
  { type: 'tool_call', index: 0, id: 'call_1', name: 'weather' },
  { type: 'tool_arguments', index: 0, text: '{"city":' },
  { type: 'tool_arguments', index: 0, text: '"Graz"}' },
  { type: 'finish', finishReason: 'tool_calls' },
]

test.each([true, false])('a tool loop keeps thinking and calls (stream: %s)', async (stream) => {
  const { client, service } = await scripted(async function* () {
    yield plannedOf()
    yield { type: 'restored', restoredTokens: 1000 }
    yield* toolEvents
    yield { type: 'receipt', receipt: receiptOf() }
  })
  const tools: Anthropic.Tool[] = [
    { name: 'weather', input_schema: { type: 'object', properties: { city: {} } } },
  ]
  const request = { ...ask('weather?'), tools, thinking: { type: 'adaptive' as const } }
  const message = stream
    ? await client.messages.stream(request).finalMessage()
    : await client.messages.create(request)
  expect(message.stop_reason).toBe('tool_use')
  expect(message.content.map(({ type }) => type)).toEqual(['thinking', 'text', 'tool_use'])
  expect(message.content[2]).toMatchObject({ id: 'call_1', input: { city: 'Graz' } })

  await client.messages.create({
    ...request,
    messages: [
      ...request.messages,
      { role: 'assistant', content: message.content },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'call_1', content: 'sun' }] },
    ],
  })
  const { prompt } = service.requests[1] ?? {}
  if (prompt?.kind !== 'chat') throw new Error('a chat must be rendered')
  expect(prompt.input.messages.slice(1)).toMatchObject([
    { role: 'assistant', content: 'Let me look.', reasoning_content: 'I should ask.' },
    { role: 'tool', content: 'sun', tool_call_id: 'call_1', name: 'weather' },
  ])
})

test('the beta client and model discovery work', async () => {
  const { client } = await scripted()
  const message = await client.beta.messages.create({
    ...ask('hi'),
    betas: ['context-management-2025-06-27'],
    context_management: { edits: [] },
  })
  expect(message.content[0]).toMatchObject({ type: 'text', text: 'Hello world' })
  expect(message._request_id).toMatch(/^req_/)
  const ids: string[] = []
  for await (const model of client.models.list()) ids.push(model.id)
  expect(ids).toEqual(['fake'])
  expect((await client.models.retrieve('fake')).max_input_tokens).toBe(8192)
})

test('errors arrive as the SDK’s own classes, with type and request id', async () => {
  const { client } = await scripted()
  // The SDK's types have lost the field; the API's older clients have not.
  const hot = { ...ask('hi'), temperature: 9 }
  const tooHot = client.messages.create(hot)
  await expect(tooHot).rejects.toThrow(BadRequestError)
  await expect(tooHot).rejects.toMatchObject({
    type: 'invalid_request_error',
    requestID: expect.stringMatching(/^req_/),
  })
  const nobody = client.messages.create({ ...ask('hi'), model: 'nobody' })
  await expect(nobody).rejects.toThrow(NotFoundError)
})

test('a key is taken from either of the SDK’s headers; a wrong one is its own error', async () => {
  const keys = { identify: (key: string) => (key === 'good' ? owner : null) }
  const { url: baseURL } = await startApi(scriptedService(), { keys })
  const byKey = new Anthropic({ baseURL, apiKey: 'good', authToken: null })
  const byToken = new Anthropic({ baseURL, apiKey: null, authToken: 'good' })
  for (const client of [byKey, byToken]) {
    expect((await client.messages.create(ask('hi'))).stop_reason).toBe('end_turn')
  }
  const wrong = clientOf(baseURL).messages.create(ask('hi'))
  await expect(wrong).rejects.toThrow(AuthenticationError)
  await expect(wrong).rejects.toMatchObject({ type: 'authentication_error' })
})

test('what would fail again is not retried; what may pass is', async () => {
  const bug = await scripted(failing(new TypeError('bug')), 2)
  await expect(bug.client.messages.create(ask('hi'))).rejects.toMatchObject({ status: 500 })
  expect(bug.service.requests).toHaveLength(1)
  const busy = await scripted(failing(new EngineError('PREFIXD_E_ENGINE_LOADING', 'loading')), 1)
  await expect(busy.client.messages.create(ask('hi'))).rejects.toMatchObject({
    status: 503,
    type: 'overloaded_error',
  })
  expect(busy.service.requests).toHaveLength(2)
})

test('an error in the middle of a stream is thrown by the SDK', async () => {
  const { client } = await scripted(async function* () {
    yield plannedOf()
    yield { type: 'restored', restoredTokens: 0 }
    yield { type: 'text', text: 'half' }
    throw new EngineError('PREFIXD_E_ENGINE_DIED', 'The worker died.')
  })
  const failure = await client.messages
    .stream(ask('hi'))
    .finalMessage()
    .catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(APIError)
  expect(failure).toMatchObject({ type: 'overloaded_error' })
})

test.each([true, false])('abort of the SDK aborts the work (stream: %s)', async (stream) => {
  const { script, started, aborted } = hanging()
  const { client } = await scripted(script)
  const controller = new AbortController()
  const reading = client.messages
    .create({ ...ask('hi'), stream }, { signal: controller.signal })
    .then(async (reply) => {
      if (Symbol.asyncIterator in reply) for await (const _ of reply);
      // The SDK ends an aborted stream without an error; a whole reply fails.
      controller.signal.throwIfAborted()
    })
  const failed = expect(reading).rejects.toThrow()
  await started
  controller.abort()
  expect(await aborted).toBeInstanceOf(ClientGone)
  await failed
})

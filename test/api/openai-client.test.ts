import OpenAI, { APIError, BadRequestError, InternalServerError, NotFoundError } from 'openai'
import { expect, test } from 'vitest'
import { EngineError } from '../../engines/errors.ts'
import { ClientGone } from '../../src/api/errors.ts'
import {
  answering,
  failing,
  hanging,
  plannedOf,
  type Script,
  scriptedService,
} from '../support/scripted-service.ts'
import { startApi } from '../support/start-api.ts'

const messages = [{ role: 'user', content: 'hi' }] as const
const chat = { model: 'fake', messages: [...messages] }

async function clientOf(script: Script = answering(), maxRetries = 0) {
  const service = scriptedService(script)
  const { url } = await startApi(service)
  return { service, client: new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries }) }
}

test('chat gives text, usage, and our cache object untouched', async () => {
  const { client } = await clientOf()
  const reply = await client.chat.completions.create(chat)
  expect(reply.choices[0]?.message.content).toBe('Hello world')
  expect(reply.usage?.prompt_tokens_details?.cached_tokens).toBe(1000)
  expect(reply.usage?.prompt_tokens_details?.cache_write_tokens).toBe(20)
  expect(reply).toMatchObject({ cache: { status: 'hit', prefix: '9f2c41d07ab3' } })
  expect(reply._request_id).toMatch(/^req_/)
})

test('a stream gives text and ends with usage', async () => {
  const { client } = await clientOf()
  const stream = await client.chat.completions.create({
    ...chat,
    stream: true,
    stream_options: { include_usage: true },
  })
  let text = ''
  let usage: OpenAI.CompletionUsage | null | undefined
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? ''
    usage = chunk.usage
  }
  expect(text).toBe('Hello world')
  expect(usage?.prompt_tokens_details?.cached_tokens).toBe(1000)
})

test('the streaming helper of the SDK assembles the same reply', async () => {
  const { client } = await clientOf()
  const reply = await client.chat.completions.stream(chat).finalChatCompletion()
  expect(reply.choices[0]?.message.content).toBe('Hello world')
  expect(reply.choices[0]?.finish_reason).toBe('stop')
})

test('completions take token arrays', async () => {
  const { client, service } = await clientOf()
  const reply = await client.completions.create({ model: 'fake', prompt: [[1, 2], [3]] })
  expect(reply.choices.map((choice) => choice.text)).toEqual(['Hello world', 'Hello world'])
  expect(service.requests[0]?.prompt).toEqual({ kind: 'tokens', tokens: Uint32Array.of(1, 2) })
})

test('models can be listed and retrieved', async () => {
  const { client } = await clientOf()
  const ids: string[] = []
  for await (const model of client.models.list()) ids.push(model.id)
  expect(ids).toEqual(['fake'])
  expect((await client.models.retrieve('fake')).owned_by).toBe('prefixd')
})

test('errors arrive as the SDK’s own classes, with param and code', async () => {
  const { client } = await clientOf()
  const tooHot = client.chat.completions.create({ ...chat, temperature: 9 })
  await expect(tooHot).rejects.toThrow(BadRequestError)
  await expect(tooHot).rejects.toMatchObject({
    status: 400,
    param: 'temperature',
    code: 'invalid_value',
  })
  const nobody = client.chat.completions.create({ ...chat, model: 'nobody' })
  await expect(nobody).rejects.toThrow(NotFoundError)
})

test('what would fail again is not retried; what may pass is', async () => {
  const bug = await clientOf(failing(new TypeError('bug')), 2)
  await expect(bug.client.chat.completions.create(chat)).rejects.toThrow(InternalServerError)
  expect(bug.service.requests).toHaveLength(1)

  const busy = await clientOf(failing(new EngineError('PREFIXD_E_ENGINE_LOADING', 'loading')), 1)
  await expect(busy.client.chat.completions.create(chat)).rejects.toMatchObject({ status: 503 })
  expect(busy.service.requests).toHaveLength(2)
})

test('an error in the middle of a stream is thrown by the SDK', async () => {
  const { client } = await clientOf(async function* () {
    yield plannedOf()
    yield { type: 'text', text: 'half' }
    throw new EngineError('PREFIXD_E_ENGINE_DIED', 'The worker died.')
  })
  const stream = await client.chat.completions.create({ ...chat, stream: true })
  const read = async () => {
    for await (const _ of stream);
  }
  const failure = await read().catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(APIError)
  expect(failure).toMatchObject({ code: 'worker_restarting' })
})

test.each([true, false])('abort of the SDK aborts the work (stream: %s)', async (stream) => {
  const { script, started, aborted } = hanging()
  const { client } = await clientOf(script)
  const controller = new AbortController()
  const { signal } = controller
  const reading = (async () => {
    const reply = await client.chat.completions.create({ ...chat, stream }, { signal })
    if (Symbol.asyncIterator in reply) for await (const _ of reply);
  })()
  // It fails as soon as it is aborted, which is before the server has noticed.
  const failed = expect(reading).rejects.toThrow()
  await started
  controller.abort()
  expect(await aborted).toBeInstanceOf(ClientGone)
  await failed
})

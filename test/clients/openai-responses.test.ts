import OpenAI, { BadRequestError } from 'openai'
import { expect, test } from 'vitest'
import {
  answering,
  plannedOf,
  receiptOf,
  type Script,
  scriptedService,
} from '../support/scripted-service.ts'
import { startApi } from '../support/start-api.ts'

async function clientOf(script: Script) {
  const { url } = await startApi(scriptedService(script))
  return new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 })
}

const calling: Script = async function* () {
  yield plannedOf()
  yield { type: 'reasoning', text: 'hm' }
  yield { type: 'tool_call', index: 0, id: 'call_a', name: 'look' }
  yield { type: 'tool_arguments', index: 0, text: '{"at":1}' }
  yield { type: 'finish', finishReason: 'tool_calls' }
  yield { type: 'receipt', receipt: receiptOf() }
}

test('a response has its text and the cached tokens', async () => {
  const client = await clientOf(answering())
  const response = await client.responses.create({ model: 'fake', input: 'hi' })
  expect(response.output_text).toBe('Hello world')
  expect(response.usage?.input_tokens_details).toEqual({
    cached_tokens: 1000,
    cache_write_tokens: 20,
  })
})

test('the streaming helper of the SDK assembles the same response', async () => {
  const client = await clientOf(answering())
  const stream = client.responses.stream({ model: 'fake', input: 'hi' })
  const response = await stream.finalResponse()
  expect(response.output_text).toBe('Hello world')
  expect(response.usage?.input_tokens_details.cached_tokens).toBe(1000)
})

test('the streaming helper assembles a call after reasoning', async () => {
  const client = await clientOf(calling)
  const response = await client.responses.stream({ model: 'fake', input: 'hi' }).finalResponse()
  expect(response.output).toMatchObject([
    { type: 'reasoning', content: [{ type: 'reasoning_text', text: 'hm' }] },
    { type: 'function_call', call_id: 'call_a', name: 'look', arguments: '{"at":1}' },
  ])
})

test('a stored response is refused with a typed error', async () => {
  const client = await clientOf(answering())
  const asked = client.responses.create({
    model: 'fake',
    input: 'hi',
    previous_response_id: 'resp_1',
  })
  await expect(asked).rejects.toBeInstanceOf(BadRequestError)
})

test('tokens are counted beforehand', async () => {
  const client = await clientOf(answering())
  const count = await client.responses.inputTokens.count({ model: 'fake', input: 'hi' })
  expect(count.input_tokens).toBe('<user>hi'.length)
})

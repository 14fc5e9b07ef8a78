import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { EngineError } from '../../engines/errors.ts'
import { createServer } from '../../src/api/server.ts'
import type { GenerateEvent } from '../../src/pipeline/types.ts'
import { plannedOf, receiptOf, type Script, scriptedService } from '../support/scripted-service.ts'

type StreamEvent = Record<string, unknown> & { readonly type: string }

const script = (...events: readonly GenerateEvent[]): Script =>
  async function* () {
    yield plannedOf()
    yield* events
  }

async function streamOf(answer: Script, body: object = {}): Promise<StreamEvent[]> {
  const server = createServer(scriptedService(answer))
  const payload = { model: 'fake', input: 'hi', stream: true, ...body }
  const reply = await server.inject({ method: 'POST', url: '/v1/responses', payload })
  expect(reply.statusCode).toBe(200)
  const frames = reply.body.split('\n\n').filter((frame) => frame.startsWith('event: '))
  return frames.map((frame) => {
    const [name, data] = frame.split('\n')
    const event = JSON.parse(data?.slice('data: '.length) ?? '') as StreamEvent
    expect(name).toBe(`event: ${event.type}`)
    return event
  })
}

const finish = (finishReason: 'stop' | 'length' | 'tool_calls') =>
  ({ type: 'finish', finishReason }) as GenerateEvent
const receipt: GenerateEvent = { type: 'receipt', receipt: receiptOf() }

test('text is told in the order that clients validate, numbered from 0, without [DONE]', async () => {
  const events = await streamOf(
    script({ type: 'text', text: 'po' }, { type: 'text', text: 'ng' }, finish('stop'), receipt),
  )
  expect(events.map(({ type }) => type)).toEqual([
    'response.created',
    'response.in_progress',
    'response.output_item.added',
    'response.content_part.added',
    'response.output_text.delta',
    'response.output_text.delta',
    'response.output_text.done',
    'response.content_part.done',
    'response.output_item.done',
    'response.completed',
  ])
  expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, index) => index))
  expect(events[4]).toMatchObject({ delta: 'po', logprobs: [], output_index: 0, content_index: 0 })
  expect(events.at(-1)?.response).toMatchObject({
    status: 'completed',
    output: [{ type: 'message', status: 'completed', content: [{ text: 'pong' }] }],
    usage: {
      input_tokens: 1024,
      input_tokens_details: { cached_tokens: 1000, cache_write_tokens: 20 },
    },
  })
})

test('reasoning, then two calls: each item ends before the next begins', async () => {
  const events = await streamOf(
    script(
      { type: 'reasoning', text: 'hm' },
      { type: 'tool_call', index: 0, id: 'call_a', name: 'look' },
      { type: 'tool_arguments', index: 0, text: '{"at":' },
      { type: 'tool_arguments', index: 0, text: '1}' },
      { type: 'tool_call', index: 1, id: 'call_b', name: 'go' },
      { type: 'tool_arguments', index: 1, text: '{}' },
      finish('tool_calls'),
      receipt,
    ),
  )
  expect(events.map(({ type, output_index: at }) => `${at ?? '-'} ${type.slice(9)}`)).toEqual([
    '- created',
    '- in_progress',
    '0 output_item.added',
    '0 content_part.added',
    '0 reasoning_text.delta',
    '0 reasoning_text.done',
    '0 content_part.done',
    '0 output_item.done',
    '1 output_item.added',
    '1 function_call_arguments.delta',
    '1 function_call_arguments.delta',
    '1 function_call_arguments.done',
    '1 output_item.done',
    '2 output_item.added',
    '2 function_call_arguments.delta',
    '2 function_call_arguments.done',
    '2 output_item.done',
    '- completed',
  ])
  expect(events[11]).toMatchObject({ name: 'look', arguments: '{"at":1}' })
  expect(events[12]).toMatchObject({ item: { call_id: 'call_a', status: 'completed' } })
})

test('an answer that reached max_output_tokens is incomplete, and so is its last item', async () => {
  const events = await streamOf(script({ type: 'text', text: 'po' }, finish('length'), receipt), {
    max_output_tokens: 1,
  })
  expect(events.at(-1)).toMatchObject({
    type: 'response.incomplete',
    response: {
      incomplete_details: { reason: 'max_output_tokens' },
      completed_at: null,
      output: [{ status: 'incomplete' }],
    },
  })
})

test('a worker that dies after the first byte ends the stream with response.failed', async () => {
  const events = await streamOf(async function* () {
    yield plannedOf()
    yield { type: 'text', text: 'po' }
    throw new EngineError('PREFIXD_E_ENGINE_DIED', 'The worker died.')
  })
  expect(events.at(-1)).toMatchObject({
    type: 'response.failed',
    sequence_number: events.length - 1,
    response: { status: 'failed', error: { code: 'server_error', message: 'The worker died.' } },
  })
})

test('a long prefill is filled with events, for clients that hear no comments', async () => {
  const pinged = Promise.withResolvers<void>()
  const server = createServer(
    scriptedService(async function* () {
      await pinged.promise
      yield plannedOf()
      yield { type: 'prefill', processedTokens: 512, totalTokens: 1024 }
      await delay(20)
      yield { type: 'text', text: 'pong' }
      yield finish('stop')
      yield receipt
    }),
    { limits: { pingMs: 1 } },
  )
  const url = await server.listen({ host: '127.0.0.1', port: 0 })
  const reply = await fetch(`${url}/v1/responses`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ input: 'hi', stream: true }),
  })
  let text = ''
  for await (const chunk of reply.body ?? []) {
    text += new TextDecoder().decode(chunk)
    if (text.includes('response.in_progress')) pinged.resolve()
  }
  await server.close()
  expect(text).toContain(': prefill 512/1024\n\nevent: response.in_progress\n')
  const events = [...text.matchAll(/^data: (.*)$/gm)].map(([, json]) => JSON.parse(json ?? ''))
  expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, index) => index))
  const types = events.map(({ type }) => type.slice('response.'.length))
  expect(types.filter((type) => type !== 'in_progress')).toEqual([
    'created',
    'output_item.added',
    'content_part.added',
    'output_text.delta',
    'output_text.done',
    'content_part.done',
    'output_item.done',
    'completed',
  ])
})

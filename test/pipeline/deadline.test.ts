import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { withinDeadlines } from '../../src/pipeline/deadline.ts'
import type { GenerateEvent } from '../../src/pipeline/types.ts'
import { plannedOf, receiptOf } from '../support/scripted-service.ts'

const never = new AbortController().signal
const soon = 20
const long = 600_000
const timeout = { code: 'PREFIXD_E_ENGINE_TIMEOUT' }

async function typesOf(events: AsyncIterable<GenerateEvent>): Promise<string[]> {
  const types: string[] = []
  for await (const { type } of events) types.push(type)
  return types
}

/** Waits until it is aborted, and then ends in good order or throws what it pleases. */
const aborted = (signal: AbortSignal): Promise<unknown> =>
  delay(long, null, { signal, ref: false }).catch(() => null)

test('a request that waits too long for its turn is given up', async () => {
  // biome-ignore lint/correctness/useYield: it fails before there is anything to yield
  async function* run(signal: AbortSignal): AsyncGenerator<GenerateEvent> {
    await aborted(signal)
    throw new Error('the queue is left')
  }
  const events = withinDeadlines(run, never, { queueMs: soon, prefillMs: long })
  await expect(typesOf(events)).rejects.toMatchObject(timeout)
})

test('a prefill that takes too long is given up, though its engine ends in good order', async () => {
  async function* run(signal: AbortSignal): AsyncGenerator<GenerateEvent> {
    yield plannedOf()
    yield { type: 'prefill', processedTokens: 1, totalTokens: 2 }
    await aborted(signal)
    yield { type: 'finish', finishReason: 'length' }
    yield { type: 'receipt', receipt: receiptOf() }
  }
  const seen: string[] = []
  const events = withinDeadlines(run, never, { queueMs: long, prefillMs: soon })
  const reading = (async () => {
    for await (const { type } of events) seen.push(type)
  })()
  await expect(reading).rejects.toMatchObject(timeout)
  expect(seen).toEqual(['planned', 'prefill'])
})

test('an answer that has begun may take its time, and so may a client that goes away', async () => {
  async function* run(): AsyncGenerator<GenerateEvent> {
    yield plannedOf()
    yield { type: 'text', text: 'a' }
    await delay(4 * soon)
    yield { type: 'receipt', receipt: receiptOf() }
  }
  const events = withinDeadlines(run, never, { queueMs: soon, prefillMs: soon })
  expect(await typesOf(events)).toEqual(['planned', 'text', 'receipt'])

  const gone = new AbortController()
  // biome-ignore lint/correctness/useYield: it fails before there is anything to yield
  async function* left(signal: AbortSignal): AsyncGenerator<GenerateEvent> {
    gone.abort()
    await aborted(signal)
    throw new Error('its own words')
  }
  const unread = withinDeadlines(left, gone.signal, { queueMs: long, prefillMs: long })
  await expect(typesOf(unread)).rejects.toThrow('its own words')
})

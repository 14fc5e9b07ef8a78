import Value from 'typebox/value'
import { expect, test } from 'vitest'
import { CacheEventSchema } from '../../src/api/native/events-schema.ts'
import { readEvents } from '../../src/cli/event-frames.ts'
import { PrefixdError } from '../../src/errors.ts'
import type { CacheEvent } from '../../src/pipeline/types.ts'
import { scriptedService } from '../support/scripted-service.ts'
import { startApi } from '../support/start-api.ts'

const moved = { atMs: 1, medium: 'ssd', kind: 'kv', model: 'toy', blockHashes: ['a', 'b'] } as const
const events: readonly CacheEvent[] = [
  { type: 'BlockStored', ...moved, parentBlockHash: null, tokenCount: 512 },
  { type: 'BlockRemoved', ...moved },
  { type: 'AllBlocksCleared', atMs: 2 },
  { type: 'EventsMissed', atMs: 3, count: 4 },
]

/** Sends what it is given, and ends with the signal. */
const follower = (given: readonly CacheEvent[], onEnd: () => void = () => {}) =>
  async function* (signal: AbortSignal) {
    yield* given
    if (!signal.aborted) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    }
    onEnd()
  }

test('each event has its name and its schema, and the stream ends with the service', async () => {
  const api = await startApi({ ...scriptedService(), followCache: follower(events) })
  const reply = await fetch(`${api.url}/v1/cache/events`)
  expect(reply.headers.get('content-type')).toBe('text/event-stream')
  const found: object[] = []
  for await (const event of readEvents(reply.body as ReadableStream<Uint8Array>)) {
    found.push(event)
    // Nobody has to go first.
    if (found.length === events.length) void api.server.close()
  }
  expect(found.flatMap((event) => [...Value.Errors(CacheEventSchema, event)])).toEqual([])
  expect(found).toMatchObject([
    { type: 'BlockStored', block_hashes: ['a', 'b'], parent_block_hash: null, token_count: 512 },
    { type: 'BlockRemoved', medium: 'ssd' },
    { type: 'AllBlocksCleared', at_ms: 2 },
    { type: 'EventsMissed', count: 4 },
  ])
})

test('the head of the answer comes before anything has happened, and who goes away frees its place', async () => {
  let isEnded = () => {}
  const ended = new Promise<void>((resolve) => {
    isEnded = resolve
  })
  const api = await startApi({ ...scriptedService(), followCache: follower([], () => isEnded()) })
  const stop = new AbortController()
  const reply = await fetch(`${api.url}/v1/cache/events`, { signal: stop.signal })
  expect(reply.status).toBe(200)
  stop.abort()
  await ended
})

test('one client too many is told so', async () => {
  const followCache = () => {
    throw new PrefixdError('PREFIXD_E_TOO_MANY_READERS', '16 clients follow the events already.')
  }
  const api = await startApi({ ...scriptedService(), followCache })
  const reply = await fetch(`${api.url}/v1/cache/events`)
  expect(reply.status).toBe(429)
  expect(await reply.json()).toMatchObject({ error: { code: 'too_many_readers' } })
})

import { setTimeout as delay } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { withDescendants } from '../../cache/index.ts'
import { nobody } from '../../cache/listener.ts'
import { createCacheEvents } from '../../src/pipeline/cache-events.ts'
import type { CacheEvent } from '../../src/pipeline/types.ts'
import { createMemorySsd } from '../support/memory-ssd.ts'
import { blockTokens, mebibyte, openToyCache } from '../support/open-toy-cache.ts'
import { serveToy, tokensOf } from '../support/toy-engine.ts'

const prompt = tokensOf([0, 3 * blockTokens])

function watched(limits: { hashesPerEvent?: number; eventsWaiting?: number } = {}) {
  const { cache } = openToyCache({ ssd: createMemorySsd(64 * mebibyte) })
  const events = createCacheEvents({
    flushMs: 1,
    hashesPerEvent: 100,
    eventsWaiting: 100,
    readersMax: 2,
    ...limits,
    isEmpty: () => cache.index.blockCount === 0,
    modelOf: () => 'toy',
    now: () => 7,
  })
  cache.listen({ ...nobody, onStored: events.onStored, onRemoved: events.onRemoved })
  const stop = new AbortController()
  const follow = () => {
    const seen: CacheEvent[] = []
    const read = async () => {
      for await (const event of events.follow(stop.signal)) seen.push(event)
    }
    return { seen, ended: read() }
  }
  const serve = async () => {
    await serveToy(cache, prompt)
    await cache.flush()
    await delay(10)
  }
  return { cache, events, stop, follow, serve }
}

const hashes = (events: readonly CacheEvent[]) =>
  events.flatMap((event) => ('blockHashes' in event ? event.blockHashes : []))

test('each block is told once in each tier, behind its parent, with its tokens', async () => {
  const { cache, follow, serve } = watched()
  const { seen } = follow()
  await serve()
  const stored = (medium: string) =>
    seen.filter((event) => event.type === 'BlockStored' && event.medium === medium)
  for (const medium of ['ram', 'ssd']) {
    const events = stored(medium)
    const chain = cache.hashesOf([...cache.index.roots()][0]?.namespace as never, prompt)
    expect(hashes(events)).toEqual(chain)
    expect(events[0]).toMatchObject({ model: 'toy', kind: 'kv', atMs: 7, parentBlockHash: null })
    const tokens = events.map((event) => (event.type === 'BlockStored' ? event.tokenCount : 0))
    expect(tokens.reduce((sum, each) => sum + each)).toBe(prompt.length)
  }
  seen.length = 0
  await serve()
  // A touch stores nothing, and only the end of the prompt was computed again.
  expect(hashes(seen)).toEqual([])
})

test('what leaves is told by tier, and the last one that all are cleared', async () => {
  const { cache, follow, serve } = watched()
  const { seen } = follow()
  await serve()
  seen.length = 0
  const blocks = withDescendants(cache.index, cache.index.blocks())
  await cache.evict(blocks, 'ram')
  await delay(10)
  expect(new Set(seen.map(({ type }) => type))).toEqual(new Set(['BlockRemoved']))
  expect(seen.every((event) => 'medium' in event && event.medium === 'ram')).toBe(true)
  expect(hashes(seen)).toHaveLength(blocks.length)
  seen.length = 0
  await cache.evict(blocks, null)
  await delay(10)
  expect(seen.at(-1)).toEqual({ type: 'AllBlocksCleared', atMs: 7 })
  expect(hashes(seen)).toHaveLength(blocks.length)
})

test('an event has no more hashes than it may', async () => {
  const { follow, serve } = watched({ hashesPerEvent: 2 })
  const { seen } = follow()
  await serve()
  expect(seen.length).toBeGreaterThan(2)
  expect(seen.every((event) => hashes([event]).length <= 2)).toBe(true)
})

test('a reader that does not read keeps no more than it may, and hears what it missed', async () => {
  const { events, stop, serve } = watched({ hashesPerEvent: 1, eventsWaiting: 2 })
  const reader = events.follow(stop.signal)
  const first = reader.next()
  await serve()
  await first
  let next = await reader.next()
  for (let taken = 1; taken < 6 && next.value?.type !== 'EventsMissed'; taken++) {
    next = await reader.next()
  }
  expect(next.value).toEqual({ type: 'EventsMissed', atMs: 7, count: expect.any(Number) })
})

test('only so many may follow, also those that never began to read; a signal frees the place', async () => {
  const { events, stop, follow } = watched()
  const { ended } = follow()
  const one = new AbortController()
  events.follow(one.signal)
  expect(() => events.follow(stop.signal)).toThrow(
    expect.objectContaining({ code: 'PREFIXD_E_TOO_MANY_READERS' }),
  )
  one.abort()
  events.follow(stop.signal)
  stop.abort()
  await ended
})

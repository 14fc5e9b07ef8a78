import { describe, expect, it } from 'vitest'
import { thinned } from '../../cache/boundaries.ts'
import type { Cache } from '../../cache/index.ts'
import { createMemorySsd } from '../support/memory-ssd.ts'
import {
  blockBytes,
  blockTokens,
  mebibyte,
  openToyCache as open,
} from '../support/open-toy-cache.ts'
import {
  boundariesOf,
  exactBytes,
  leaseBoundary,
  serveBoundary,
  stateLayout,
} from '../support/toy-boundaries.ts'
import { beginLease, serveToy, tokensOf } from '../support/toy-engine.ts'

/** Rows of 13 blocks, a tail among them, and 13 boundaries of two kinds. */
const long = tokensOf([0, 12 * blockTokens])
const longRecords = 13 + 2 * 13

/** Every look at it is later than the one before. */
function createClock(): () => number {
  let nowMs = 0
  return () => ++nowMs
}

const ramOnly = (ramBlocks: number, boundaryShare = 0.25) =>
  open({ ssd: null, ramBlocks, boundaryShare, now: createClock() }).cache

/** Of a model without boundaries. */
const rowsAt = (start: number, blocks: number) => tokensOf([start, blocks * blockTokens])
const saveRows = (cache: Cache, start: number, blocks: number) =>
  serveToy(cache, rowsAt(start, blocks))

function storedRows(cache: Cache, start: number, blocks: number): number {
  const lease = beginLease(cache, rowsAt(start, blocks))
  const { matchedTokens } = lease.plan
  lease.release()
  return matchedTokens / blockTokens
}

/** Its rows take nothing. Three states of one granule: at the last block, and both last tokens. */
const chatAt = (number: number) => tokensOf([100_000 * number, 1500])
const statesPerChat = 3
const saveChat = (cache: Cache, number: number) =>
  serveBoundary(cache, chatAt(number), { layout: stateLayout })

async function saveChats(cache: Cache, chats: number): Promise<void> {
  for (let number = 1; number <= chats; number++) await saveChat(cache, number)
}

function ramOf(cache: Cache) {
  const [ram] = cache.usage()
  if (ram === undefined) throw new Error('a RAM tier was expected')
  return ram
}

describe('a tier that has room', () => {
  it('keeps boundaries beyond their share', async () => {
    const ssd = createMemorySsd(longRecords * mebibyte)
    const { cache } = open({ ssd, ramBlocks: longRecords, boundaryShare: 0.125 })
    await serveBoundary(cache, long)
    await cache.flush()
    for (const { boundaryBytes, capacityBytes, evictedRecords } of cache.usage()) {
      expect(boundaryBytes).toBe((capacityBytes * 26) / longRecords)
      expect(evictedRecords).toBe(0)
    }
  })

  it('holds 24 chats of a model that keeps states only', async () => {
    const cache = ramOnly(24 * statesPerChat)
    await saveChats(cache, 24)
    expect(ramOf(cache)).toMatchObject({ boundaryBytes: cache.arena.sizeBytes, evictedRecords: 0 })
    for (let number = 1; number <= 24; number++) {
      const again = await saveChat(cache, number)
      expect(again.restored).toBe(chatAt(number).length - 1)
    }
  })
})

describe('a tier that is full', () => {
  it('keeps the latest chats of a model that keeps states only, and counts what went', async () => {
    const cache = ramOnly(30)
    await saveChats(cache, 24)
    expect(ramOf(cache)).toMatchObject({ boundaryBytes: 30 * exactBytes, evictedRecords: 72 - 30 })
    for (let number = 24; number > 24 - 30 / statesPerChat; number--) {
      expect((await saveChat(cache, number)).restored).toBe(chatAt(number).length - 1)
    }
  })

  it('does not pile up names of chats whose states went', async () => {
    const cache = ramOnly(30)
    await saveChats(cache, 100)
    // A chat has a whole block and two tails; of the oldest one some may be left.
    expect(cache.index.blockCount).toBeLessThanOrEqual(30 + statesPerChat)
  })

  it('takes from boundaries beyond their share what new rows want, and nothing from rows', async () => {
    const cache = ramOnly(64)
    await saveRows(cache, 5_000_000, 16)
    await saveChats(cache, 16)
    expect(ramOf(cache).usedBytes).toBe(64 * blockBytes)
    await saveRows(cache, 6_000_000, 20)
    expect(storedRows(cache, 5_000_000, 16)).toBe(16)
    expect(storedRows(cache, 6_000_000, 20)).toBe(20)
    expect(ramOf(cache)).toMatchObject({ boundaryBytes: 28 * exactBytes, evictedRecords: 20 })
  })

  it('takes from the oldest rows once boundaries are within their share', async () => {
    const cache = ramOnly(64)
    await saveRows(cache, 5_000_000, 34)
    await saveChats(cache, 10)
    await saveRows(cache, 6_000_000, 20)
    expect(ramOf(cache).boundaryBytes).toBe(16 * exactBytes)
    expect(storedRows(cache, 6_000_000, 20)).toBe(20)
    expect(storedRows(cache, 5_000_000, 34)).toBe(64 - 16 - 20)
  })

  it('gives new boundaries the room of old rows up to their share, then of old boundaries', async () => {
    const cache = ramOnly(64)
    await saveRows(cache, 5_000_000, 64)
    await saveChats(cache, 4)
    expect(storedRows(cache, 5_000_000, 64)).toBe(64 - 4 * statesPerChat)
    await saveChats(cache, 24)
    expect(ramOf(cache).boundaryBytes).toBe(16 * exactBytes)
    expect(storedRows(cache, 5_000_000, 64)).toBe(64 - 16)
  })

  it('lets a request that runs have all its boundaries', async () => {
    const cache = ramOnly(64, 0.125)
    await saveRows(cache, 5_000_000, 64)
    await serveBoundary(cache, long)
    expect(boundariesOf(cache.index.blocks())).toHaveLength(13)
    expect(storedRows(cache, 5_000_000, 64)).toBe(64 - longRecords)
  })

  it('keeps rows on the SSD as it does in RAM', async () => {
    const ssd = createMemorySsd(160 * mebibyte)
    const { cache } = open({ ssd, ramBlocks: 256, now: createClock() })
    await saveRows(cache, 5_000_000, 20)
    for (const start of [100_000, 200_000, 300_000]) {
      await serveBoundary(cache, tokensOf([start, 12 * blockTokens]))
    }
    for (let number = 0; number < 30; number++) {
      await saveRows(cache, 6_000_000 + number * blockTokens, 1)
    }
    const rows = [...ssd.records()].filter(({ kind }) => kind === 'kv')
    expect(rows).toHaveLength(20 + 3 * 13 + 30)
    const disk = cache.usage().find(({ tier }) => tier === 'ssd')
    expect(disk?.boundaryBytes).toBeLessThan(78 * mebibyte)
    expect(disk?.evictedRecords).toBe(78 - (disk?.boundaryBytes ?? 0) / mebibyte)
  })
})

describe('boundaries that make room', () => {
  it('are thinned along their chain: dense near its end, sparse before it', async () => {
    const cache = ramOnly(longRecords, 0)
    await serveBoundary(cache, long)
    const all = boundariesOf(cache.index.blocks())
    await saveRows(cache, 5_000_000, 4)
    const kept = boundariesOf(cache.index.blocks())
    expect(kept).toHaveLength(11)
    const gone = all.filter((position) => !kept.includes(position))
    const sparse = thinned(all, long.length)
    expect(gone.filter((position) => sparse.includes(position))).toEqual([])
  })

  it.each([
    ['behind the first message', { messageEnds: [1500] }],
    ['at a breakpoint', { breakpoints: [1500] }],
  ])('go last where new sessions begin: %s', async (_, marks) => {
    const cache = ramOnly(longRecords + 3, 0)
    await serveBoundary(cache, long, marks)
    await saveRows(cache, 5_000_000, 16)
    expect(boundariesOf(cache.index.blocks())).toHaveLength(6)
    expect(boundariesOf(cache.index.blocks())).toContain(1472)
    expect(boundariesOf(cache.index.blocks())).not.toContain(2048)
  })

  it('cost rows nothing: their chain is still the beginning of others', async () => {
    const cache = ramOnly(longRecords, 0.05)
    await serveBoundary(cache, long)
    await saveRows(cache, 5_000_000, 20)
    const lease = leaseBoundary(cache, tokensOf([0, 9 * blockTokens], [90_000, 7]))
    expect(lease.plan.matchedTokens).toBe(9 * blockTokens)
    expect(lease.plan.computeFrom).toBeLessThan(9 * blockTokens)
    expect(lease.plan.miss).toEqual({ reason: 'no_boundary', atToken: lease.plan.computeFrom })
    expect(lease.plan.reasons.join()).not.toContain('tokens are stored')
    lease.release()
  })
})

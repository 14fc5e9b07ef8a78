import { describe, expect, it } from 'vitest'
import { createAdmin } from '../../src/pipeline/admin.ts'
import type { PrefixQuery } from '../../src/pipeline/types.ts'
import { createMemorySsd } from '../support/memory-ssd.ts'
import { blockBytes, blockTokens, mebibyte, openToyCache } from '../support/open-toy-cache.ts'
import { beginLease, serveToy, tokensOf } from '../support/toy-engine.ts'

const shared = [0, 2 * blockTokens] as const
const first = tokensOf(shared, [100_000, blockTokens])
const second = tokensOf(shared, [200_000, blockTokens + 7])

async function open() {
  let nowMs = 1_000
  const ssd = createMemorySsd(64 * mebibyte)
  const { cache } = openToyCache({ ssd, now: () => nowMs })
  const admin = createAdmin({
    cache,
    totals: { add: () => {}, since: async () => expect.unreachable() },
    modelOf: () => 'toy',
    tenantOf: () => null,
    kindsOf: () => ['kv'],
    fingerprintOf: () => null,
    servedBy: () => null,
    sessionsAt: () => [],
    now: () => nowMs,
    stats: () => ({}) as never,
  })
  const serve = async (tokens: Uint32Array, atMs: number) => {
    nowMs = atMs
    const served = await serveToy(cache, tokens)
    await cache.flush()
    return served
  }
  await serve(first, 2_000)
  await serve(second, 3_000)
  return { cache, admin, serve, at: (ms: number) => (nowMs = ms) }
}

const query = (changes: Partial<PrefixQuery> = {}): PrefixQuery => ({
  sort: 'last',
  limit: 10,
  ...changes,
})

describe('the list of prefixes', () => {
  it('has one line for each chain, with what it shares counted once', async () => {
    const { admin } = await open()
    const { prefixes, total } = admin.prefixes(query())
    expect(total).toBe(2)
    expect(prefixes.map((prefix) => prefix.tokens)).toEqual([second.length, first.length])
    expect(prefixes[1]).toMatchObject({ sizeBytes: 3 * blockBytes, uniqueBytes: blockBytes })
    expect(prefixes[1]?.restorableTokens).toBe(first.length)
    expect(prefixes[0]).toMatchObject({ model: 'toy', tiers: ['ram', 'ssd'], leased: false })
  })

  it('is given page by page', async () => {
    const { admin } = await open()
    const page = admin.prefixes(query({ limit: 1 }))
    expect(page.nextCursor).toBe(page.prefixes[0]?.id)
    const rest = admin.prefixes(query({ limit: 1, cursor: page.nextCursor ?? '' }))
    expect(rest.prefixes[0]?.id).not.toBe(page.prefixes[0]?.id)
    expect(rest.nextCursor).toBeNull()
  })

  it('is filtered by model and sorted by what people ask for', async () => {
    const { admin } = await open()
    expect(admin.prefixes(query({ model: 'other' })).total).toBe(0)
    const bySize = admin.prefixes(query({ sort: 'size' })).prefixes
    expect(bySize[0]?.tokens).toBe(second.length)
    const byAge = admin.prefixes(query({ sort: 'age' })).prefixes
    expect(byAge[0]?.tokens).toBe(first.length)
  })
})

describe('one prefix', () => {
  it('is found by a unique beginning of its id and shows every block', async () => {
    const { admin } = await open()
    const id = admin.prefixes(query()).prefixes[0]?.id ?? ''
    const detail = admin.prefix(id.slice(0, 8))
    expect(detail.blocks.map((block) => [block.from, block.to, block.sharedBy])).toEqual([
      [0, 1024, 2],
      [1024, 2048, 2],
      [2048, 3072, 1],
      [3072, 3079, 1],
    ])
    expect(detail.reclaimableBytes).toBe(detail.uniqueBytes)
  })

  it('is not found under an unknown or a senseless id, and the error says where to look', async () => {
    const { admin } = await open()
    for (const id of ['0000000000', 'zebra', '']) {
      expect(() => admin.prefix(id)).toThrowError(
        expect.objectContaining({
          code: 'PREFIXD_E_PREFIX_NOT_FOUND',
          next: expect.stringContaining('prefixd ls'),
        }),
      )
    }
  })
})

describe('eviction by hand', () => {
  it('says in a dry run what it would free, and frees just that', async () => {
    const { admin, cache } = await open()
    const id = admin.prefixes(query()).prefixes[1]?.id ?? ''
    const dry = await admin.evict({ ids: [id] }, true)
    expect(dry).toMatchObject({ dryRun: true, blocks: 1, prefixes: 1, keptBlocks: 0 })
    expect(cache.index.blockCount).toBe(5)
    const before = cache.usage().map((tier) => tier.usedBytes)
    const done = await admin.evict({ ids: [id] }, false)
    expect(done.freedBytes).toEqual(dry.freedBytes)
    const after = cache.usage().map((tier) => tier.usedBytes)
    expect(before.map((bytes, i) => bytes - (after[i] ?? 0))).toEqual([
      done.freedBytes.ram,
      done.freedBytes.ssd,
    ])
    expect(cache.index.blockCount).toBe(4)
  })

  it('keeps what a request uses, and says how much that is', async () => {
    const { admin, cache } = await open()
    const lease = beginLease(cache, tokensOf(shared, [7, 1]))
    const report = await admin.evict({ all: true }, false)
    expect(report).toMatchObject({ blocks: 3, prefixes: 1, keptBlocks: 2 })
    lease.release()
    expect(await admin.evict({ all: true }, false)).toMatchObject({ blocks: 2, keptBlocks: 0 })
    expect(cache.usage().map((tier) => tier.usedBytes)).toEqual([0, 0])
  })

  it('takes only what has not been used for that long', async () => {
    const { admin, serve, at } = await open()
    await serve(second, 9_000)
    at(10_000)
    const report = await admin.evict({ olderThanMs: 5_000 }, false)
    expect(report).toMatchObject({ blocks: 1, prefixes: 1 })
    expect(admin.prefixes(query()).prefixes[0]?.tokens).toBe(second.length)
  })

  it('clears one tier and keeps the copies of the other', async () => {
    const { admin, cache, serve } = await open()
    const report = await admin.evict({ tier: 'ram' }, false)
    expect(report).toMatchObject({ blocks: 5, prefixes: 0, freedBytes: { ssd: 0 } })
    expect(cache.usage()[0]?.usedBytes).toBe(0)
    expect((await serve(first, 4_000)).plan.tier).toBe('ssd')
    const again = await admin.evict({ tier: 'ram' }, true)
    expect(again).toMatchObject({ blocks: 3, keptBlocks: 0 })
  })

  it('clears the SSD tier from the leaves up', async () => {
    const { admin, cache, serve } = await open()
    expect(await admin.evict({ tier: 'ssd' }, false)).toMatchObject({ blocks: 5, prefixes: 0 })
    expect(cache.usage()[1]?.usedBytes).toBe(0)
    expect((await serve(first, 4_000)).plan.tier).toBe('ram')
  })
})

import { describe, expect, it } from 'vitest'
import { leavesOf } from '../../cache/inventory.ts'
import type { TierUsage } from '../../cache/types.ts'
import { createMemorySsd } from '../support/memory-ssd.ts'
import {
  blockBytes,
  blockTokens,
  mebibyte,
  openToyCache as open,
} from '../support/open-toy-cache.ts'
import { beginLease, restoreAll, saveAll, serveToy, tokensOf } from '../support/toy-engine.ts'

const prompt = tokensOf([0, 3000])

describe('the cache', () => {
  it('restores the second time what the first time saved, all but the last token', async () => {
    const { cache } = open()
    expect((await serveToy(cache, prompt)).restored).toBe(0)
    const again = await serveToy(cache, prompt)
    expect(again.restored).toBe(2999)
    expect(again.plan.tier).toBe('ram')
    expect(again.committed).toBe(0)
  })

  it('acknowledges as saved only what the SSD has', async () => {
    const ssd = createMemorySsd(64 * mebibyte)
    const { cache } = open({ ssd })
    const release = ssd.hold()
    const lease = beginLease(cache, prompt)
    await saveAll(cache, lease, prompt, 0)
    expect(await lease.settle(1)).toBe(0)
    release()
    expect(await lease.settle(5_000)).toBe(3000)
    lease.release()
  })

  it('goes on to the token where two prompts diverge inside a block', async () => {
    const { cache } = open()
    await serveToy(cache, tokensOf([0, 2500], [9000, 500]))
    const second = await serveToy(cache, tokensOf([0, 2500], [5000, 700]))
    expect(second.restored).toBe(2500)
    expect(second.plan.miss).toEqual({ reason: 'diverged', atToken: 2500 })
  })

  it('continues a tail, and frees it when the longer record is durable', async () => {
    const { cache } = open()
    await serveToy(cache, tokensOf([0, 2500]))
    const next = await serveToy(cache, tokensOf([0, 2900]))
    expect(next.restored).toBe(2500)
    await cache.flush()
    expect(cache.index.blockCount).toBe(3)
    expect([...leavesOf(cache.index)].map((leaf) => leaf.tokenCount)).toEqual([2900 - 2048])
  })

  it('counts whole chains as reclaimable that have no other copy, unless something stays', async () => {
    const { cache } = open({ ssd: null })
    await serveToy(cache, prompt)
    const ram = () => cache.usage()[0] as TierUsage
    expect(ram().reclaimableBytes).toBe(ram().usedBytes)
    const reader = beginLease(cache, tokensOf([0, 1500]))
    expect(ram().reclaimableBytes).toBe(blockBytes)
    reader.release()
    expect(ram().reclaimableBytes).toBe(ram().usedBytes)
  })

  it('keeps a tail as long as a request uses it', async () => {
    const { cache } = open()
    await serveToy(cache, tokensOf([0, 2500]))
    const reader = beginLease(cache, tokensOf([0, 2500], [7000, 9]))
    await serveToy(cache, tokensOf([0, 2900]))
    await cache.flush()
    expect(cache.index.blockCount).toBe(4)
    reader.release()
    expect(cache.index.blockCount).toBe(3)
  })

  it('finds after a restart what was saved before it', async () => {
    const ssd = createMemorySsd(64 * mebibyte)
    await serveToy(open({ ssd }).cache, prompt)
    const { cache } = open({ ssd: ssd.reopen() })
    const again = await serveToy(cache, tokensOf([0, 2600], [8000, 50]))
    expect(again.restored).toBe(2600)
    expect(again.plan.tier).toBe('ssd')
  })

  it('restores through a RAM tier that is smaller than the prompt', async () => {
    const long = tokensOf([0, 40 * blockTokens + 5])
    const { cache } = open({ ramBlocks: 8 })
    const first = await serveToy(cache, long)
    expect(first.savedTokens).toBe(long.length)
    const again = await serveToy(cache, long)
    expect(again.restored).toBe(long.length - 1)
  })

  it('stays inside both budgets, and drops leaves before their parents', async () => {
    const ssd = createMemorySsd(12 * mebibyte)
    const { cache } = open({ ssd, ramBlocks: 8 })
    for (let session = 0; session < 12; session++) {
      await serveToy(cache, tokensOf([0, 2 * blockTokens], [session * 50_000 + 9_000, 2500]))
      for (const tier of cache.usage())
        expect(tier.usedBytes).toBeLessThanOrEqual(tier.capacityBytes)
    }
    await cache.flush()
    const again = await serveToy(cache, tokensOf([0, 2 * blockTokens], [1, 10]))
    expect(again.restored).toBe(2 * blockTokens)
    for (const block of cache.index.blocks()) expect(block.gone).toBe(false)
  })

  it('cuts the chain at a damaged block, forgets it and what follows, and saves it anew', async () => {
    const ssd = createMemorySsd(64 * mebibyte)
    await serveToy(open({ ssd }).cache, prompt)
    const reopened = ssd.reopen()
    const { cache, warnings } = open({ ssd: reopened })
    const second = [...cache.index.blocks()].find((block) => block.index === 1)
    reopened.damage(second?.hash as never)
    const hurt = await serveToy(cache, prompt)
    expect(hurt.restored).toBe(blockTokens)
    expect(cache.counters.corruptBlocks).toBe(1)
    expect(warnings.join()).toContain('could not be read back')
    expect(hurt.savedTokens).toBe(3000 - blockTokens)
    expect((await serveToy(cache, prompt)).restored).toBe(2999)
  })

  it('never offers again what the engine refused', async () => {
    const { cache } = open()
    await serveToy(cache, prompt)
    const lease = beginLease(cache, prompt)
    expect(await restoreAll(cache, lease, prompt)).toBe(2999)
    lease.rejectRecord(1)
    lease.release()
    expect(beginLease(cache, prompt).plan.computeFrom).toBe(blockTokens)
  })

  it('serves from RAM when the disk refuses to write, and acknowledges nothing', async () => {
    const ssd = createMemorySsd(64 * mebibyte)
    const { cache } = open({ ssd })
    ssd.failWrites(new Error('ENOSPC'))
    const first = await serveToy(cache, prompt)
    expect(first.savedTokens).toBe(0)
    await cache.flush()
    expect(cache.counters.failedWrites).toBe(3)
    expect((await serveToy(cache, prompt)).restored).toBe(2999)
  })

  it('works without an SSD tier', async () => {
    const { cache } = open({ ssd: null, ramBlocks: 8 })
    expect((await serveToy(cache, prompt)).savedTokens).toBe(3000)
    expect((await serveToy(cache, prompt)).restored).toBe(2999)
    for (let i = 1; i < 6; i++) await serveToy(cache, tokensOf([i * 10_000, 3000]))
    expect((await serveToy(cache, prompt)).restored).toBe(0)
  })

  it('does not read when the request asks not to, but still saves behind what is stored', async () => {
    const { cache } = open()
    await serveToy(cache, tokensOf([0, 2048]))
    const lease = beginLease(cache, prompt, { read: false })
    expect(lease.plan.outcome).toBe('bypass')
    expect(await saveAll(cache, lease, prompt, 0)).toBe(1)
    lease.release()
  })

  it('takes back what was reserved and never filled', async () => {
    const { cache } = open()
    const lease = beginLease(cache, prompt)
    const sizeBytes = blockBytes
    const tokens = prompt.subarray(0, blockTokens)
    const wanted = { kind: 'kv' as const, from: 0, to: blockTokens, sizeBytes, tokens, grid: true }
    const place = await lease.reserve(wanted)
    expect(cache.arena.usedBytes).toBe(blockBytes)
    lease.release()
    expect(cache.arena.usedBytes).toBe(0)
    expect(lease.commit(place as never, [0])).toBe(false)
  })

  it('refuses a late commit whose bytes have another owner', async () => {
    const { cache } = open()
    const lease = beginLease(cache, prompt)
    const tokens = prompt.subarray(0, blockTokens)
    const wanted = {
      kind: 'kv' as const,
      from: 0,
      to: blockTokens,
      sizeBytes: blockBytes,
      tokens,
      grid: true,
    }
    const place = await lease.reserve(wanted)
    const stale = { offset: place?.offset ?? 0, generation: (place?.generation ?? 0) - 1 }
    expect(lease.commit(stale, [0])).toBe(false)
    expect(cache.index.blockCount).toBe(0)
    lease.release()
  })

  it('gives room for the next block while the one before is still being filled', async () => {
    const { cache } = open()
    const lease = beginLease(cache, prompt)
    const places = await Promise.all(
      [0, 1].map((i) => {
        const [from, to] = [i * blockTokens, (i + 1) * blockTokens]
        const tokens = prompt.subarray(from, to)
        return lease.reserve({ kind: 'kv', from, to, sizeBytes: 64, tokens, grid: true })
      }),
    )
    expect(lease.commit(places[0] as never, [0])).toBe(true)
    expect(lease.commit(places[1] as never, [0])).toBe(true)
    lease.release()
    expect(beginLease(cache, prompt).plan.computeFrom).toBe(2 * blockTokens)
  })

  it('does not store a block whose parent was given up', async () => {
    const { cache } = open()
    const lease = beginLease(cache, prompt)
    const places = await Promise.all(
      [0, 1].map((i) => {
        const [from, to] = [i * blockTokens, (i + 1) * blockTokens]
        const tokens = prompt.subarray(from, to)
        return lease.reserve({ kind: 'kv', from, to, sizeBytes: 64, tokens, grid: true })
      }),
    )
    lease.abandon(places[0] as never)
    expect(lease.commit(places[1] as never, [0])).toBe(false)
    lease.release()
    expect(cache.arena.usedBytes).toBe(0)
  })

  it('does not accept a block whose parent is not stored', async () => {
    const { cache } = open()
    const lease = beginLease(cache, prompt)
    const tokens = prompt.subarray(blockTokens, 2 * blockTokens)
    const to = 2 * blockTokens
    const wanted = { kind: 'kv' as const, from: blockTokens, to, sizeBytes: 64, tokens, grid: true }
    expect(await lease.reserve(wanted)).toBeNull()
    lease.release()
  })
})

describe('block reuse', () => {
  it('restores only blocks that are bit-identical to cold', async () => {
    const { cache } = open({ reuse: 'block' })
    const lease = beginLease(cache, prompt)
    await saveAll(cache, lease, prompt, 0, false)
    lease.release()
    await cache.flush()
    expect((await serveToy(cache, prompt)).restored).toBe(0)
    expect((await serveToy(cache, prompt)).restored).toBe(2 * blockTokens)
  })

  it('is a hit of a repeated prompt when all its whole blocks are restored', async () => {
    const ssd = createMemorySsd(64 * mebibyte)
    const { cache } = open({ ssd })
    await serveToy(cache, prompt)
    await cache.flush()
    const { cache: reopened } = open({ ssd: ssd.reopen(), reuse: 'block' })
    const lease = beginLease(reopened, prompt)
    expect(lease.plan).toMatchObject({ outcome: 'hit', computeFrom: 2 * blockTokens, miss: null })
    lease.release()
  })

  it('puts exact bytes in the place of those that are not, also on the SSD', async () => {
    const ssd = createMemorySsd(64 * mebibyte)
    const { cache } = open({ ssd, reuse: 'block' })
    const lease = beginLease(cache, prompt)
    await saveAll(cache, lease, prompt, 0, false)
    lease.release()
    await cache.flush()
    await serveToy(cache, prompt)
    await cache.flush()
    const { cache: reopened } = open({ ssd: ssd.reopen(), reuse: 'block' })
    expect((await serveToy(reopened, prompt)).restored).toBe(2 * blockTokens)
  })
})

import { describe, expect, it } from 'vitest'
import { isBlock } from '../../cache/prefix-index.ts'
import type { SsdTier } from '../../cache/tiers/tier.ts'
import { createMemorySsd } from '../support/memory-ssd.ts'
import { blockTokens, mebibyte, openToyCache } from '../support/open-toy-cache.ts'
import { leaseBoundary, serveBoundary } from '../support/toy-boundaries.ts'
import { beginLease, restoreAll, saveAll, serveToy, tokensOf } from '../support/toy-engine.ts'

const chatTokens = 3 * blockTokens
const chat = (at: number) => tokensOf([at * 100_000, chatTokens])
const prompt = chat(0)

/** A tier that refuses the rows of some blocks; others are written meanwhile. */
function createPicky(capacityBytes = 256 * mebibyte) {
  const ssd = createMemorySsd(capacityBytes)
  const picky = {
    ssd,
    refusedBlocks: [0] as readonly number[],
    tried: [] as number[],
    /** Refusals take so long. */
    until: Promise.resolve(),
    tier: {
      ...ssd,
      async write(...given) {
        const [{ kind, blockIndex }] = given
        picky.tried.push(blockIndex)
        if (kind !== 'kv' || !picky.refusedBlocks.includes(blockIndex)) return ssd.write(...given)
        await picky.until
        throw new Error('EIO')
      },
    } satisfies SsdTier as SsdTier,
  }
  return picky
}

const namesOn = (ssd: SsdTier) =>
  [...ssd.records()].map(({ kind, blockIndex }) => [kind, blockIndex])

describe('a block that the disk refuses', () => {
  it('leaves nothing there that stands on it', async () => {
    const { ssd, tier } = createPicky()
    const { cache } = openToyCache({ ssd: tier })
    expect((await serveToy(cache, prompt)).savedTokens).toBe(0)
    await cache.flush()
    expect(namesOn(ssd)).toEqual([])
    expect((await serveToy(cache, prompt)).restored).toBe(chatTokens - 1)
  })

  it('takes along what was written while it was on its way', async () => {
    const picky = createPicky()
    const { cache } = openToyCache({ ssd: picky.tier })
    const refusal = Promise.withResolvers<void>()
    picky.until = refusal.promise
    const lease = beginLease(cache, prompt)
    await saveAll(cache, lease, prompt, 0)
    expect(await lease.settle(50)).toBe(0)
    expect(namesOn(picky.ssd)).toEqual([
      ['kv', 1],
      ['kv', 2],
    ])
    lease.release()
    // Without a copy in RAM the last block is nowhere then.
    const end = [...cache.index.blocks()].find(({ index }) => index === 2)
    if (end === undefined) throw new Error('the last block was saved')
    await cache.evict([end], 'ram')
    refusal.resolve()
    await cache.flush()
    expect(namesOn(picky.ssd)).toEqual([])
    expect([...cache.index.blocks()].map(({ index }) => index)).toEqual([0, 1])
    expect((await serveToy(cache, prompt)).restored).toBe(2 * blockTokens)
  })

  it('does not let the disk be asked for what stands on it, until it is there', async () => {
    const picky = createPicky()
    const { cache } = openToyCache({ ssd: picky.tier })
    await serveToy(cache, prompt)
    await cache.flush()
    const longer = tokensOf([0, chatTokens + 2 * blockTokens])
    const lease = beginLease(cache, longer)
    await restoreAll(cache, lease, longer)
    // What a request saves first has all before it tried again.
    await saveAll(cache, lease, longer.subarray(0, chatTokens + blockTokens), chatTokens)
    await cache.flush()
    picky.tried = []
    await saveAll(cache, lease, longer, chatTokens + blockTokens)
    await cache.flush()
    expect(picky.tried).toEqual([])
    lease.release()
    picky.refusedBlocks = []
    const later = await serveToy(cache, tokensOf([0, chatTokens], [5_000, 300]))
    expect(later).toMatchObject({ restored: chatTokens, savedTokens: 300 })
    const { cache: restarted } = openToyCache({ ssd: picky.ssd.reopen() })
    expect((await serveToy(restarted, prompt)).restored).toBe(chatTokens - 1)
  })

  it('leaves nothing there of an earlier time, whose removal was refused meanwhile', async () => {
    // With room for this chat alone, so that what is saved again waits for the removal.
    const picky = createPicky(3 * mebibyte)
    picky.refusedBlocks = []
    const removal = Promise.withResolvers<number>()
    let isRefusing = true
    const remove: SsdTier['remove'] = (keys) =>
      isRefusing ? removal.promise : picky.ssd.remove(keys)
    const { cache } = openToyCache({ ssd: { ...picky.tier, remove } })
    await serveToy(cache, prompt)
    const eviction = cache.evict([...cache.index.blocks()].reverse(), null)
    picky.refusedBlocks = [0]
    const lease = beginLease(cache, prompt)
    await saveAll(cache, lease, prompt, 0)
    isRefusing = false
    removal.reject(new Error('EIO'))
    await eviction
    await lease.settle(5_000)
    lease.release()
    await cache.flush()
    expect(namesOn(picky.ssd)).toEqual([])
  })

  it('is asked for once when better bytes take its place', async () => {
    const picky = createPicky()
    const { cache } = openToyCache({ ssd: picky.tier })
    const lease = beginLease(cache, prompt)
    await saveAll(cache, lease, prompt, 0, false)
    lease.release()
    await cache.flush()
    picky.tried = []
    picky.refusedBlocks = []
    await serveToy(cache, prompt, { read: false })
    expect(picky.tried.toSorted()).toEqual([0, 1, 2])
  })

  it('takes along what is written while it waits for a disk that is full', async () => {
    const picky = createPicky()
    const usage: SsdTier['usage'] = () => {
      const disk = picky.ssd.usage().disk
      return { ...picky.ssd.usage(), disk: { ...disk, state: isFull ? 'no_writes' : 'enough' } }
    }
    let isFull = false
    const { cache } = openToyCache({ ssd: { ...picky.tier, usage } })
    const refusal = Promise.withResolvers<void>()
    picky.until = refusal.promise
    const release = picky.ssd.hold()
    const lease = beginLease(cache, prompt)
    await saveAll(cache, lease, prompt, 0)
    await lease.settle(50)
    refusal.resolve()
    expect(await lease.settle(5_000)).toBe(0)
    isFull = true
    // Has the refused block tried again, which then waits.
    await serveToy(cache, tokensOf([0, chatTokens], [5_000, 300]))
    release()
    lease.release()
    await cache.flush()
    expect(namesOn(picky.ssd)).toEqual([])
  })

  it('takes windows and states off the disk with the rows that it has not', async () => {
    const { ssd, tier } = createPicky()
    const { cache } = openToyCache({ ssd: tier })
    await serveBoundary(cache, prompt)
    await cache.flush()
    expect(namesOn(ssd)).toEqual([])
    const lease = leaseBoundary(cache, prompt)
    expect(lease.plan.outcome).toBe('hit')
    lease.release()
  })

  it('leaves the RAM when others want its room, whatever goes on behind it', async () => {
    const picky = createPicky()
    const { cache } = openToyCache({ ssd: picky.tier, ramBlocks: 8 })
    for (let at = 1; at <= 12; at++) {
      await serveToy(cache, chat(at))
      await cache.flush()
    }
    picky.refusedBlocks = []
    expect((await serveToy(cache, prompt)).savedTokens).toBe(chatTokens)
    await cache.flush()
    // Nothing but what this chat needs has to stay.
    await serveToy(cache, tokensOf([9_000_000, 8 * blockTokens]))
    expect((await serveToy(cache, prompt)).restored).toBe(chatTokens - 1)
  })
})

describe('bytes that were to replace acknowledged ones and are refused', () => {
  const longer = tokensOf([0, chatTokens + 700])

  /** Stored off the grid, as behind a restore to a token, and then computed on it. */
  async function openReplaced() {
    const picky = createPicky()
    picky.refusedBlocks = []
    const { cache } = openToyCache({ ssd: picky.tier })
    const before = beginLease(cache, longer)
    await saveAll(cache, before, longer, 0, false)
    expect(await before.settle(5_000)).toBe(longer.length)
    before.release()
    picky.refusedBlocks = [0]
    const again = beginLease(cache, longer, { read: false })
    await saveAll(cache, again, longer, 0)
    expect(await again.settle(5_000)).toBe(0)
    again.release()
    await cache.flush()
    return { cache, picky }
  }

  it('leave those on the disk, and all that stands on them', async () => {
    const { picky } = await openReplaced()
    const { cache: restarted } = openToyCache({ ssd: picky.ssd.reopen() })
    expect((await serveToy(restarted, longer)).restored).toBe(longer.length - 1)
  })

  it('are no longer taken for exact, and may leave the RAM', async () => {
    const { cache } = await openReplaced()
    const first = [...cache.index.blocks()].find(({ parent }) => !isBlock(parent))
    expect(first?.grid).toBe(false)
    await cache.evict([...cache.index.blocks()].reverse(), 'ram')
    const lease = beginLease(cache, longer)
    expect(await restoreAll(cache, lease, longer)).toBe(longer.length - 1)
    lease.release()
  })

  it('leave with them', async () => {
    const { cache, picky } = await openReplaced()
    await cache.evict([...cache.index.blocks()].reverse(), null)
    await cache.flush()
    expect(namesOn(picky.ssd)).toEqual([])
  })
})

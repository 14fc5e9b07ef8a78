import { describe, expect, it } from 'vitest'
import type { Cache } from '../../cache/index.ts'
import { describeBlocks, describePrefix, leavesOf, uniqueRun } from '../../cache/inventory.ts'
import type { CachedBlock } from '../../cache/prefix-index.ts'
import {
  bigSsd,
  blockTokens,
  mebibyte,
  openToyCache as open,
  openBigCache,
} from '../support/open-toy-cache.ts'
import {
  boundariesOf,
  boundaryLayout,
  leaseBoundary,
  restoreBoundary,
  saveBoundaries,
  saveRecord,
  serveBoundary,
  stateLayout,
} from '../support/toy-boundaries.ts'
import { tokensOf } from '../support/toy-engine.ts'

/** Two blocks and a half. */
const prompt = tokensOf([0, 2500])

describe('a cache of a model with windows and states', () => {
  it('restores a repeated prompt to all but its last token', async () => {
    const { cache } = openBigCache()
    expect((await serveBoundary(cache, prompt)).restored).toBe(0)
    const again = await serveBoundary(cache, prompt)
    expect(again.restored).toBe(prompt.length - 1)
    expect(again.plan).toMatchObject({ outcome: 'hit', miss: null })
  })

  it('restores the next turn to where the last one ended', async () => {
    const { cache } = openBigCache()
    await serveBoundary(cache, prompt)
    const next = await serveBoundary(cache, tokensOf([0, 2500], [7000, 300]))
    expect(next.restored).toBe(2500)
  })

  it('goes back to the last boundary before a divergence, and says so', async () => {
    const { cache } = openBigCache()
    await serveBoundary(cache, prompt)
    const other = await serveBoundary(cache, tokensOf([0, 1500], [9000, 800]))
    expect(other.restored).toBe(blockTokens)
    expect(other.plan.miss).toEqual({ reason: 'diverged', atToken: 1500 })
    expect(other.plan.reasons.join()).toContain('tokens 1024 to 1500 are computed again')
  })

  it('restores a prompt that leaves another one behind a message to that message', async () => {
    const { cache } = openBigCache()
    await serveBoundary(cache, prompt, { messageEnds: [704] })
    const other = await serveBoundary(cache, tokensOf([0, 704], [9000, 800]))
    expect(other.restored).toBe(704)
    expect(other.plan.miss).toEqual({ reason: 'diverged', atToken: 704 })
  })

  it('saves one where the second prompt leaves the first, and the third is restored to it', async () => {
    const { cache } = openBigCache()
    await serveBoundary(cache, prompt)
    const restored: number[] = []
    const boundaries: number[] = []
    for (const start of [8000, 9000, 10_000]) {
      const other = await serveBoundary(cache, tokensOf([0, 1500], [start, 800]))
      restored.push(other.restored)
      boundaries.push(other.plan.boundaries.length)
    }
    expect(restored).toEqual([blockTokens, 1472, 1472])
    // Of the second prompt one more than of the others: the last block, both last tokens, and it.
    expect(boundaries).toEqual([3, 2, 2])
  })

  it('has never seen a prompt that shares the first words of a template with others', async () => {
    const { cache } = openBigCache()
    await serveBoundary(cache, prompt, { messageEnds: [704] })
    const other = await serveBoundary(cache, tokensOf([0, 5], [9000, 800]), { messageEnds: [504] })
    expect(other.plan).toMatchObject({ outcome: 'miss', matchedTokens: 0 })
    expect(other.plan.miss).toEqual({ reason: 'never_seen', atToken: 0 })
  })

  it('calls a next turn a hit that computes one token of the last one again', async () => {
    const { cache } = openBigCache()
    const lease = leaseBoundary(cache, prompt)
    await saveBoundaries(cache, lease, prompt.subarray(0, -1), 0)
    const from = 2 * blockTokens
    await saveRecord(cache, lease, prompt, { kind: 'kv', from, to: prompt.length })
    lease.release()
    const next = await serveBoundary(cache, tokensOf([0, 2500], [7000, 300]))
    expect(next.restored).toBe(prompt.length - 1)
    expect(next.plan).toMatchObject({ outcome: 'hit', matchedTokens: 2500, miss: null })
  })

  it('uses no tail with block reuse, and no boundary that is not on the grid', async () => {
    const { cache } = openBigCache({ reuse: 'block' })
    await serveBoundary(cache, prompt)
    expect((await serveBoundary(cache, prompt)).restored).toBe(0)
  })

  it('acknowledges tokens only up to a boundary that is durable with all its kinds', async () => {
    const ssd = bigSsd()
    const { cache } = openBigCache({ ssd })
    const lease = leaseBoundary(cache, prompt)
    const rows = { kind: 'kv', from: 0, to: blockTokens } as const
    await saveRecord(cache, lease, prompt, rows)
    await saveRecord(cache, lease, prompt, { ...rows, kind: 'window' })
    expect(await lease.settle(5_000)).toBe(0)
    await saveRecord(cache, lease, prompt, { ...rows, kind: 'state' })
    await saveRecord(cache, lease, prompt, { kind: 'kv', from: blockTokens, to: 2 * blockTokens })
    expect(await lease.settle(5_000)).toBe(blockTokens)
    lease.release()
  })

  it('takes the kinds of a block in any order, and drops what never gets its rows', async () => {
    const { cache } = openBigCache()
    const lease = leaseBoundary(cache, prompt)
    const place = { from: 0, to: 500, tokens: prompt.subarray(0, 500), grid: false }
    const rows = await lease.reserve({ ...place, kind: 'kv', sizeBytes: 64 })
    const states = await lease.reserve({ ...place, kind: 'state', sizeBytes: 64 })
    const windows = await lease.reserve({ ...place, kind: 'window', sizeBytes: 64 })
    if (rows === null || states === null || windows === null) throw new Error('no room')
    expect(lease.commit(states, [1])).toBe(true)
    expect(lease.commit(windows, [1])).toBe(true)
    expect(cache.index.blockCount).toBe(1)
    lease.abandon(rows)
    lease.release()
    await cache.flush()
    expect(cache.index.blockCount).toBe(0)
    expect(cache.usage().map(({ usedBytes }) => usedBytes)).toEqual([0, 0])
  })

  it('keeps a tail beside the longer block that goes on from it', async () => {
    const { cache } = openBigCache()
    await serveBoundary(cache, tokensOf([0, 1500]))
    await serveBoundary(cache, tokensOf([0, 2500]))
    await cache.flush()
    const branch = await serveBoundary(cache, tokensOf([0, 1500], [8000, 20]))
    expect(branch.restored).toBe(1500)
  })

  it('finds after a restart what was saved before it, and counts it', async () => {
    const ssd = bigSsd()
    await serveBoundary(openBigCache({ ssd }).cache, prompt, { messageEnds: [704] })
    const { cache } = openBigCache({ ssd: ssd.reopen() })
    expect(boundariesOf(cache.index.blocks())).toEqual([704, 1024, 2048, 2499, 2500])
    const usage = cache.usage().find(({ tier }) => tier === 'ssd')
    expect(usage).toMatchObject({ blocks: 5, boundaryBytes: 10 * mebibyte })
    const again = await serveBoundary(cache, tokensOf([0, 704], [8000, 50]))
    expect(again).toMatchObject({ restored: 704, plan: { tier: 'ssd' } })
  })

  it('removes at a restart what is there without its rows', async () => {
    const ssd = bigSsd()
    await serveBoundary(openBigCache({ ssd }).cache, prompt)
    const [block] = [...ssd.records()].filter(({ blockIndex }) => blockIndex === 0)
    if (block === undefined) throw new Error('a first block was expected')
    const reopened = ssd.reopen()
    for (const { hash, kind, blockIndex } of [...reopened.records()]) {
      if (blockIndex === 0 && kind === 'kv') await reopened.remove([{ hash, kind }])
    }
    const { cache } = openBigCache({ ssd: reopened })
    await cache.flush()
    expect(cache.index.blockCount).toBe(0)
    expect([...reopened.records()]).toEqual([])
  })

  it('keeps names of tokens that have no bytes, through a restart too', async () => {
    const ssd = bigSsd()
    await serveBoundary(openBigCache({ ssd }).cache, prompt, { layout: stateLayout })
    const { cache } = openBigCache({ ssd: ssd.reopen() })
    const again = await serveBoundary(cache, prompt, { layout: stateLayout })
    expect(again.restored).toBe(prompt.length - 1)
    // Nothing but the states takes room.
    const [ram] = cache.usage()
    expect(ram?.usedBytes).toBe(ram?.boundaryBytes)
  })
})

describe('a damaged window or state', () => {
  it('costs itself only: the next plan ends at the boundary before it', async () => {
    const ssd = bigSsd()
    await serveBoundary(openBigCache({ ssd }).cache, prompt)
    const reopened = ssd.reopen()
    const { cache, warnings } = openBigCache({ ssd: reopened })
    const first = leaseBoundary(cache, prompt)
    const target = first.plan.records.at(-1)
    if (target === undefined) throw new Error('a boundary was expected')
    reopened.damage(target.hash)
    expect(await restoreBoundary(cache, first, prompt)).toBe(0)
    first.release()
    expect(warnings.join()).toMatch(/the (window|state) of block/)
    const second = await serveBoundary(cache, prompt)
    expect(second.restored).toBe(2 * blockTokens)
    // It was computed again, and saved again.
    expect((await serveBoundary(cache, prompt)).restored).toBe(prompt.length - 1)
  })

  it('is found before any rows are handed out', async () => {
    const ssd = bigSsd()
    await serveBoundary(openBigCache({ ssd }).cache, prompt)
    const reopened = ssd.reopen()
    const { cache } = openBigCache({ ssd: reopened })
    const lease = leaseBoundary(cache, prompt)
    reopened.damage(lease.plan.records.at(-1)?.hash as CachedBlock['hash'])
    let windows = 0
    for await (const _ of lease.windows()) windows++
    expect(windows).toBe(0)
    lease.release()
  })

  it('leaves a whole block its rows when the engine refuses it', async () => {
    const { cache } = openBigCache()
    await serveBoundary(cache, tokensOf([0, 2 * blockTokens + 1]))
    const lease = leaseBoundary(cache, tokensOf([0, 2 * blockTokens], [7000, 5]))
    const last = lease.plan.records.length - 1
    expect(lease.plan.records[last]).toMatchObject({ kind: 'state', to: 2 * blockTokens })
    lease.rejectRecord(last)
    lease.release()
    const again = leaseBoundary(cache, tokensOf([0, 2 * blockTokens], [7000, 5]))
    expect(again.plan).toMatchObject({ computeFrom: blockTokens, matchedTokens: 2 * blockTokens })
    again.release()
  })
})

describe('prefixes of a model with windows and states', () => {
  const { kinds } = boundaryLayout
  const bytesOf = (blocks: Iterable<CachedBlock>): number =>
    [...blocks].flatMap(({ records }) => records).reduce((sum, it) => sum + it.sizeBytes, 0)

  it('share and own bytes that add up to what is stored', async () => {
    const { cache } = openBigCache()
    await serveBoundary(cache, tokensOf([0, 1500]), { messageEnds: [192, 896] })
    await serveBoundary(cache, tokensOf([0, 2500]), { messageEnds: [192, 896, 1728] })
    await serveBoundary(cache, tokensOf([0, 896], [5000, 300]))
    await serveBoundary(cache, tokensOf([8000, 700]), { messageEnds: [128] })
    const counted = new Set<CachedBlock>()
    for (const leaf of leavesOf(cache.index)) {
      const { sizeBytes, uniqueBytes } = describePrefix(leaf, kinds)
      const blocks = describeBlocks(cache.index, leaf, kinds)
      expect(blocks.reduce((sum, block) => sum + block.sizeBytes, 0)).toBe(sizeBytes)
      expect(uniqueBytes).toBeLessThanOrEqual(sizeBytes)
      const owned = blocks.filter(({ sharedBy }) => sharedBy === 1).map(({ block }) => block)
      expect(bytesOf(owned)).toBe(uniqueBytes)
      for (const { block, from, to } of blocks) {
        counted.add(block)
        expect([from, to]).toEqual([
          block.index * blockTokens,
          block.index * blockTokens + block.tokenCount,
        ])
      }
    }
    expect(bytesOf(counted)).toBe(bytesOf(cache.index.blocks()))
  })

  it('say up to where they restore, which is nowhere when their boundaries have gone', async () => {
    // The rows of both prompts, and the boundaries of one of them.
    const { cache } = open({ ssd: null, ramBlocks: 15 })
    const restorable = () =>
      [...leavesOf(cache.index)].map((leaf) => describePrefix(leaf, kinds).restorableTokens)
    await serveBoundary(cache, tokensOf([0, 2500]))
    expect(restorable()).toEqual([2500])
    await serveBoundary(cache, tokensOf([8000, 2500]))
    expect(restorable().sort()).toEqual([0, 2500])
    const again = leaseBoundary(cache, tokensOf([0, 2500]))
    expect(again.plan).toMatchObject({ outcome: 'miss', miss: { reason: 'no_boundary' } })
    again.release()
  })

  it('say how much of it the SSD has on its own, which is what a restart restores', async () => {
    const ssd = bigSsd()
    const { cache } = openBigCache({ ssd })
    await serveBoundary(cache, prompt)
    await cache.flush()
    const described = (of: Cache) =>
      [...leavesOf(of.index)].map((leaf) => describePrefix(leaf, kinds))
    const [whole] = described(cache)
    expect(whole?.durableTokens).toBe(whole?.restorableTokens)
    const deepestFirst = [...cache.index.blocks()].sort((a, b) => b.index - a.index)
    const tails = deepestFirst.filter(({ index }) => index === 2)
    await cache.evict(tails, 'ssd')
    expect(described(cache)).toMatchObject([
      { restorableTokens: whole?.restorableTokens, durableTokens: 2 * blockTokens },
    ])
    expect(described(cache)[0]?.tiers).toEqual(['ram', 'ssd'])
    const { cache: reopened } = openBigCache({ ssd: ssd.reopen() })
    expect((await serveBoundary(reopened, prompt)).restored).toBe(2 * blockTokens)
  })

  it('do not outlive their states where they have no bytes of their own', async () => {
    const { cache } = open({ ssd: null, ramBlocks: 64 })
    for (let turn = 1; turn <= 40; turn += 1) {
      const tokens = tokensOf([turn * 10_000, 2500])
      await serveBoundary(cache, tokens, { layout: stateLayout })
    }
    // A state at each of them.
    expect(cache.index.blockCount).toBeLessThanOrEqual(64)
    const leaves = [...leavesOf(cache.index)].map((leaf) => describePrefix(leaf, stateLayout.kinds))
    expect(leaves.filter(({ restorableTokens }) => restorableTokens === 0)).toEqual([])
    const last = await serveBoundary(cache, tokensOf([400_000, 2500]), { layout: stateLayout })
    expect(last.restored).toBe(2499)
  })

  it('are not as many as their boundaries, and take those along', async () => {
    const { cache } = openBigCache()
    await serveBoundary(cache, tokensOf([0, 1500]), { messageEnds: [192, 896] })
    await serveBoundary(cache, tokensOf([0, 2500]), { messageEnds: [192, 896, 1728] })
    await serveBoundary(cache, tokensOf([0, 896], [5000, 300]))
    const leaves = [...leavesOf(cache.index)]
    expect(leaves).toHaveLength(2)
    const deepest = leaves.find(({ index }) => index === 2)
    if (deepest === undefined) throw new Error('a prefix of three blocks was expected')
    // All of it but the beginning that both prefixes share.
    const gone = boundariesOf(uniqueRun(deepest, boundaryLayout.kinds))
    expect(gone).toContain(1728)
    expect(gone).not.toContain(192)
    expect(gone).not.toContain(896)
    expect(
      await cache.evict(
        uniqueRun(deepest, boundaryLayout.kinds).sort((a, b) => b.index - a.index),
        null,
      ),
    ).not.toEqual([])
    expect([...leavesOf(cache.index)]).toHaveLength(1)
  })

  it('may lose one tier and keep the other', async () => {
    const { cache } = openBigCache()
    await serveBoundary(cache, prompt)
    await cache.flush()
    const all = [...cache.index.blocks()].sort((a, b) => b.index - a.index)
    await cache.evict(all, 'ram')
    expect(cache.usage()[0]).toMatchObject({ usedBytes: 0, boundaryBytes: 0 })
    expect((await serveBoundary(cache, prompt)).restored).toBe(prompt.length - 1)
    await cache.evict(
      [...cache.index.blocks()].sort((a, b) => b.index - a.index),
      null,
    )
    expect(cache.index.blockCount).toBe(0)
  })

  it('do not hold a lease longer than the request', async () => {
    const { cache } = openBigCache()
    const lease = leaseBoundary(cache, prompt)
    await saveBoundaries(cache, lease, prompt, 0)
    lease.release()
    expect([...cache.index.blocks()].every(({ leases }) => leases === 0)).toBe(true)
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Cache } from '../../cache/cache.ts'
import { prefixIdOf } from '../../cache/lease.ts'
import type { CachedBlock } from '../../cache/prefix-index.ts'
import type { BlockHash } from '../../cache/types.ts'
import { createMemorySsd } from '../support/memory-ssd.ts'
import { blockBytes, blockTokens, mebibyte, openToyCache } from '../support/open-toy-cache.ts'
import { boundariesOf, leaseBoundary, serveBoundary } from '../support/toy-boundaries.ts'
import { beginLease, saveAll, serveToy, tokensOf } from '../support/toy-engine.ts'

const promptOf = (chat: number, blocks = 4) => tokensOf([chat * 1_000_000, blocks * blockTokens])

const endOf = (cache: Cache, tokens: Uint32Array): CachedBlock => {
  const lease = beginLease(cache, tokens)
  const found = [...cache.index.blocks()].find((block) => prefixIdOf(block) === lease.prefixId)
  lease.release()
  if (found === undefined) throw new Error('nothing of it is stored')
  return found
}

const forever = { untilMs: null, isExact: false }

interface Kept {
  readonly ssdBlocks?: number
  readonly ramBlocks?: number
  readonly keptHints?: number
}

function open({ ssdBlocks = 16, ...more }: Kept = {}) {
  let nowMs = 1_000
  const ssd = ssdBlocks === 0 ? null : createMemorySsd(ssdBlocks * mebibyte)
  const opened = openToyCache({ ssd, ramBlocks: 32, ...more, now: () => nowMs })
  const { cache } = opened
  const pass = async (ms: number) => {
    nowMs += ms
  }
  const serve = async (chat: number, blocks = 4) => {
    nowMs += 1
    const served = await serveToy(cache, promptOf(chat, blocks))
    await cache.flush()
    return served
  }
  /** Other chats, until everything that policy may take has gone. */
  const flood = async (first = 100, chats = 20) => {
    for (let chat = first; chat < first + chats; chat++) await serve(chat)
  }
  const pin = (chat: number, untilMs: number | null = null) =>
    cache.pin(endOf(cache, promptOf(chat)).hash, { ...forever, untilMs })
  const matched = (chat: number, blocks = 4) => {
    const lease = beginLease(cache, promptOf(chat, blocks))
    lease.release()
    return lease.plan.matchedTokens
  }
  return { ...opened, pass, serve, flood, pin, matched, now: () => nowMs }
}

const whole = 4 * blockTokens

it('a block is kept by all who wish for it, or for what stands behind it, the longest first', async () => {
  const { cache, serve, pin, pass } = open()
  await serve(1)
  await serve(2)
  const end = endOf(cache, promptOf(1))
  const { hash, parent } = end
  expect(cache.keeping.reasonsFor(end)).toEqual([])
  cache.keeping.hint(hash, { untilMs: 5_000, isExact: false }, true)
  cache.keeping.hint(hash, { untilMs: 9_000, isExact: false })
  pin(1)
  pin(2)
  const reasons = [
    { purpose: 'pin', hash, untilMs: null },
    { purpose: 'hint', hash, untilMs: 9_000 },
    { purpose: 'ram hint', hash, untilMs: 5_000 },
  ]
  expect(cache.keeping.reasonsFor(end)).toEqual(reasons)
  expect(cache.keeping.reasonsFor(parent as CachedBlock)).toEqual(reasons)
  await pass(5_000)
  expect(cache.keeping.reasonsFor(end)).toEqual(reasons.slice(0, 2))
})

describe.each([16, 0])('a pinned prefix, with an SSD of %i blocks', (ssdBlocks) => {
  const openSmall = () => open({ ssdBlocks, ramBlocks: ssdBlocks === 0 ? 16 : 32 })

  it('stays to its last token, whatever else comes, and others do not', async () => {
    const { serve, flood, pin, matched } = openSmall()
    await serve(1)
    await serve(2)
    expect(pin(1)).toBeNull()
    await flood()
    expect(matched(1)).toBe(whole)
    expect(matched(2)).toBe(0)
  })

  it('is as if it had never been once it has ended', async () => {
    const { serve, flood, pin, matched, pass, now } = openSmall()
    await serve(1)
    pin(1, now() + 60_000)
    await flood()
    expect(matched(1)).toBe(whole)
    await pass(60_000)
    await flood(200)
    expect(matched(1)).toBe(0)
  })

  it('may go once it is unpinned, but not what another pin stands on', async () => {
    const { cache, serve, flood, pin, matched } = openSmall()
    await serve(1, 2)
    await serve(1, 4)
    const short = endOf(cache, promptOf(1, 2)).hash
    cache.pin(short, forever)
    pin(1)
    expect(cache.keeping.unpin(endOf(cache, promptOf(1)).hash)).toBe(true)
    await flood()
    expect(matched(1)).toBe(2 * blockTokens)
    expect(cache.keeping.unpin(short)).toBe(true)
    expect(cache.keeping.unpin(short)).toBe(false)
    await flood(200)
    expect(matched(1)).toBe(0)
  })

  it('is refused when more than half of the tier would be pinned, and says how much that is', async () => {
    const { cache, serve, pin } = openSmall()
    const tier = ssdBlocks === 0 ? 'ram' : 'ssd'
    const unit = ssdBlocks === 0 ? blockBytes : mebibyte
    for (const chat of [1, 2, 3]) await serve(chat)
    expect([pin(1), pin(2)]).toEqual([null, null])
    expect(pin(3)).toEqual({
      tier,
      pinnedBytes: 8 * unit,
      wantedBytes: 4 * unit,
      mostBytes: 8 * unit,
    })
    expect(cache.keeping.keptBytes(tier)).toBe(8 * unit)
    cache.keeping.unpin(endOf(cache, promptOf(1)).hash)
    expect(pin(3)).toBeNull()
  })
})

describe('a pin', () => {
  it('lets the copy in RAM go where the SSD has one', async () => {
    const { cache, serve, pin, flood } = open({ ssdBlocks: 16, ramBlocks: 8 })
    await serve(1)
    pin(1)
    await flood()
    const copies = [...cache.index.subtree(endOf(cache, promptOf(1)))].flatMap((it) => it.records)
    expect(copies.map(({ extent, ssd }) => [extent, ssd])).toEqual([[null, 'stored']])
  })

  it('brings to the SSD what was in RAM only, and keeps off it what was to stay off', async () => {
    const { cache, serve, pin } = open()
    await serve(1)
    await cache.evict([...cache.index.blocks()].reverse(), 'ssd')
    pin(1)
    await cache.flush()
    expect([...cache.index.blocks()].flatMap((it) => it.records.map(({ ssd }) => ssd))).toEqual(
      Array(4).fill('stored'),
    )
    await serveToy(cache, promptOf(2), { spill: false })
    pin(2)
    await cache.flush()
    expect(endOf(cache, promptOf(2)).records[0]?.ssd).toBe('kept off')
    expect(cache.keeping.keptBytes('ram')).toBe(4 * blockBytes)
  })

  it('of a block that is not stored waits for it', async () => {
    const { cache, serve, flood, matched } = open()
    await serve(1)
    const { hash } = endOf(cache, promptOf(1))
    await cache.evict([...cache.index.blocks()].reverse(), null)
    expect(cache.pin(hash, forever)).toBeNull()
    expect(cache.keeping.pinned(hash)).toBeNull()
    await serve(1)
    expect(cache.keeping.pinned(hash)?.hash).toBe(hash)
    await flood()
    expect(matched(1)).toBe(whole)
  })

  it('keeps a tail that a longer prompt begins with', async () => {
    const { cache } = open()
    const tail = tokensOf([7, blockTokens + 100])
    await serveToy(cache, tail)
    const { hash } = endOf(cache, tail)
    cache.pin(hash, forever)
    await serveToy(cache, tokensOf([7, 2 * blockTokens]))
    await cache.flush()
    expect(cache.index.get(hash)?.gone).toBe(false)
  })

  it('waits for its block again when that was damaged', async () => {
    const { cache, serve, pin } = open()
    await serve(1)
    const end = endOf(cache, promptOf(1))
    pin(1)
    const lease = beginLease(cache, promptOf(1, 5))
    lease.rejectRecord(3)
    lease.release()
    expect(cache.keeping.pinned(end.hash)).toBeNull()
    expect(cache.keeping.keptBytes('ssd')).toBe(0)
    await serve(1)
    expect(cache.keeping.keptBytes('ssd')).toBe(4 * mebibyte)
  })
})

describe('a pinned prefix of a model with windows and states', () => {
  it('keeps its rows and the deepest boundary, and no other', async () => {
    const ssd = createMemorySsd(40 * mebibyte)
    const { cache } = openToyCache({ ssd, ramBlocks: 64 })
    const prompt = promptOf(1)
    await serveBoundary(cache, prompt)
    await cache.flush()
    const lease = leaseBoundary(cache, prompt)
    const { prefixId } = lease
    lease.release()
    const end = [...cache.index.blocks()].find((block) => prefixIdOf(block) === prefixId)
    const { hash } = end as CachedBlock
    expect(cache.pin(hash, { untilMs: null, isExact: true })).toBeNull()
    for (let chat = 10; chat < 40; chat++) {
      await serveBoundary(cache, promptOf(chat))
      await cache.flush()
    }
    const own = [...cache.index.blocks()].filter((block) => cache.keeping.isPinned(block))
    expect(boundariesOf(own)).toEqual([prompt.length - 1])
    expect((await serveBoundary(cache, prompt)).restored).toBe(prompt.length - 1)
  })
})

describe("a client's lifetime", () => {
  const serveFor = async (cache: Cache, chat: number, ttlMs: number) => {
    const lease = beginLease(cache, promptOf(chat))
    await saveAll(cache, lease, promptOf(chat), lease.plan.computeFrom)
    await lease.settle(5_000)
    lease.keepFor(ttlMs)
    lease.release()
    await cache.flush()
  }

  it('keeps the prefix until it is over', async () => {
    const { cache, flood, matched, pass } = open()
    await serveFor(cache, 1, 300_000)
    await flood()
    expect(matched(1)).toBe(whole)
    await pass(300_000)
    await flood(200)
    expect(matched(1)).toBe(0)
  })

  it('is prolonged by the next request and never shortened', async () => {
    const { cache, flood, matched, pass } = open()
    await serveFor(cache, 1, 60_000)
    await serveFor(cache, 1, 3_600_000)
    await serveFor(cache, 1, 60_000)
    await pass(600_000)
    await flood()
    expect(matched(1)).toBe(whole)
  })

  it('gives way where half of the tier is kept: first the one that ends first, then to pins', async () => {
    const { cache, flood, matched, pin } = open()
    await serveFor(cache, 1, 300_000)
    await serveFor(cache, 2, 100_000)
    await serveFor(cache, 3, 200_000)
    await flood()
    expect([matched(1), matched(2), matched(3)]).toEqual([whole, 0, whole])
    expect(pin(1)).toBeNull()
    await serveToy(cache, promptOf(4))
    await cache.flush()
    expect(pin(4)).toBeNull()
    await flood(200)
    expect([matched(1), matched(3), matched(4)]).toEqual([whole, 0, whole])
  })

  it('costs nothing to remember: of more than so many those that end first are forgotten', async () => {
    const { cache, serve } = open({ ssdBlocks: 64, keptHints: 2 })
    for (const chat of [1, 2, 3]) {
      await serve(chat, 1)
      const { hash } = endOf(cache, promptOf(chat, 1))
      cache.keeping.hint(hash, { untilMs: 1_000_000 - chat, isExact: false })
    }
    expect(cache.keeping.keptBytes('ssd')).toBe(2 * mebibyte)
  })
})

interface Step {
  readonly act: 'serve' | 'pin' | 'unpin' | 'hint' | 'wait'
  readonly chat: number
  readonly blocks: number
  readonly ms: number
}

const step: fc.Arbitrary<Step> = fc.record({
  act: fc.constantFrom('serve', 'serve', 'serve', 'serve', 'pin', 'unpin', 'hint', 'wait'),
  chat: fc.integer({ min: 1, max: 6 }),
  blocks: fc.integer({ min: 1, max: 5 }),
  ms: fc.integer({ min: 1, max: 5_000 }),
})

describe('random traffic over full tiers', () => {
  it.each([12, 0])('never evicts a pinned chain nor exceeds a budget, SSD of %i', async (size) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
        const { cache, serve, pass, now } = open({ ssdBlocks: size, ramBlocks: 10 })
        const pins = new Map<BlockHash, { untilMs: number | null; chain: CachedBlock[] }>()
        for (const { act, chat, blocks, ms } of steps) {
          if (act === 'wait') await pass(ms)
          else if (act === 'serve') await serve(chat, blocks)
          else {
            await serve(chat, blocks)
            const end = endOf(cache, promptOf(chat, blocks))
            const untilMs = ms % 3 === 0 ? null : now() + ms
            if (act === 'hint') cache.keeping.hint(end.hash, { ...forever, untilMs: now() + ms })
            else if (act === 'unpin') {
              cache.keeping.unpin(end.hash)
              pins.delete(end.hash)
            } else if (cache.pin(end.hash, { ...forever, untilMs }) === null) {
              const chain = [end]
              for (let node = end.parent; 'records' in node; node = node.parent) chain.push(node)
              pins.set(end.hash, { untilMs, chain })
            }
            await cache.flush()
          }
          for (const [hash, { untilMs, chain }] of pins) {
            if (untilMs !== null && untilMs <= now()) pins.delete(hash)
            else expect(chain.filter(({ gone }) => gone)).toEqual([])
          }
          for (const { tier, usedBytes, capacityBytes } of cache.usage()) {
            expect(usedBytes).toBeLessThanOrEqual(capacityBytes)
            expect(cache.keeping.keptBytes(tier)).toBeLessThanOrEqual(capacityBytes / 2)
          }
        }
        for (const hash of pins.keys()) cache.keeping.unpin(hash)
        await pass(10_000)
        expect([cache.keeping.keptBytes('ram'), cache.keeping.keptBytes('ssd')]).toEqual([0, 0])
      }),
      { numRuns: 30 },
    )
  })
})

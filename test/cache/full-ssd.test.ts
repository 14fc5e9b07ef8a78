import { afterEach, describe, expect, it } from 'vitest'
import type { Cache } from '../../cache/index.ts'
import type { SsdTier } from '../../cache/tiers/tier.ts'
import { createMemorySsd } from '../support/memory-ssd.ts'
import { blockTokens, mebibyte, openToyCache as open } from '../support/open-toy-cache.ts'
import { makeDirectory, openTestTier } from '../support/stored-records.ts'
import { serveBoundary, stateLayout } from '../support/toy-boundaries.ts'
import { serveToy, tokensOf } from '../support/toy-engine.ts'

const chats = 30
const chatsThatFit = 6

/** Each record takes one slot of 1 MiB. */
interface Family {
  readonly recordsPerChat: number
  readonly serve: (cache: Cache, chat: number) => Promise<unknown>
}

const families: Record<string, Family> = {
  'rows only': {
    recordsPerChat: 12,
    serve: (cache, chat) => serveToy(cache, tokensOf([chat * 100_000, 12 * blockTokens])),
  },
  'rows, windows and states': {
    recordsPerChat: 3 * 5,
    serve: (cache, chat) => serveBoundary(cache, tokensOf([chat * 100_000, 4 * blockTokens])),
  },
  'states only': {
    recordsPerChat: 5,
    serve: (cache, chat) =>
      serveBoundary(cache, tokensOf([chat * 100_000, 4 * blockTokens]), { layout: stateLayout }),
  },
}

const cleanUps: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

async function openDisk(capacityBytes: number): Promise<SsdTier> {
  const directory = makeDirectory()
  cleanUps.push(() => directory.remove())
  const tier = await openTestTier(directory.path, { capacityBytes, stepBytes: 8 * mebibyte })
  cleanUps.push(() => tier.close())
  return tier
}

const tiers: Record<string, (capacityBytes: number) => Promise<SsdTier>> = {
  memory: async (capacityBytes) => createMemorySsd(capacityBytes),
  'a slab and LMDB': openDisk,
}

const ssdOf = (cache: Cache) => {
  const usage = cache.usage().find(({ tier }) => tier === 'ssd')
  if (usage === undefined) throw new Error('an SSD tier was expected')
  return usage
}

describe.each(Object.entries(tiers))('an SSD tier of %s', (_tier, openTier) => {
  it.each(Object.entries(families))(
    'stays nearly full, refuses nothing and evicts what it needs: %s',
    async (_family, { recordsPerChat, serve }) => {
      const ssd = await openTier(chatsThatFit * recordsPerChat * mebibyte)
      let nowMs = 0
      const { cache, warnings } = open({ ssd, ramBlocks: 4 * recordsPerChat, now: () => ++nowMs })
      for (let chat = 1; chat <= chats; chat++) {
        await serve(cache, chat)
        await cache.flush()
        const { usedBytes, capacityBytes } = ssdOf(cache)
        const fullFrom = Math.min(chat, chatsThatFit) / chatsThatFit
        expect(usedBytes / capacityBytes).toBeGreaterThanOrEqual(0.95 * fullFrom)
      }
      expect(warnings).toEqual([])
      expect(cache.counters).toMatchObject({ failedWrites: 0, refusedWrites: 0 })
      const { evictedRecords, usedBytes } = ssdOf(cache)
      expect(evictedRecords).toBe(chats * recordsPerChat - usedBytes / mebibyte)
    },
  )
})

describe('a chat that is written into a full tier', () => {
  it('costs as much of the others as it takes, though many of its records come at once', async () => {
    const ssd = createMemorySsd(64 * mebibyte)
    const { cache } = open({ ssd, ramBlocks: 128 })
    for (let chat = 1; chat <= 16; chat++) await serveToy(cache, tokensOf([chat * 10_000, 4096]))
    await cache.flush()
    expect(ssdOf(cache)).toMatchObject({ usedBytes: 64 * mebibyte, evictedRecords: 0 })
    const release = ssd.hold()
    const serving = serveToy(cache, tokensOf([900_000, 8 * blockTokens]))
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    release()
    await serving
    await cache.flush()
    const { evictedRecords } = ssdOf(cache)
    expect(evictedRecords).toBeGreaterThanOrEqual(8)
    // Slack is a thirty-second part of the tier.
    expect(evictedRecords).toBeLessThanOrEqual(8 + 2)
    expect(cache.counters).toMatchObject({ failedWrites: 0, refusedWrites: 0 })
  })
})

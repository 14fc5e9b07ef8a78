import { fstatSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { Cache } from '../../cache/index.ts'
import { createArena } from '../../cache/tiers/arena.ts'
import type { SsdTierOptions } from '../../cache/tiers/ssd.ts'
import type { SsdTier } from '../../cache/tiers/tier.ts'
import {
  blockBytes,
  blockTokens,
  mebibyte,
  openToyCache,
  type ToyCacheOptions,
} from '../support/open-toy-cache.ts'
import { makeDirectory, openTestTier } from '../support/stored-records.ts'
import { beginLease, serveToy, tokensOf } from '../support/toy-engine.ts'

const chatOf = (chat: number, blocks = 4) => tokensOf([chat * 1_000_000, blocks * blockTokens])
/** All of a chat but its last token, which is always computed. */
const whole = (blocks = 4) => blocks * blockTokens - 1

const cleanUps: (() => Promise<void> | void)[] = []
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp()
})

/** Until nothing shrinks any more. */
async function settled({ budgets }: Cache): Promise<void> {
  while (budgets.ram().isShrinking || budgets.ssd()?.isShrinking) {
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

const storedOf = (cache: Cache, chats: readonly number[]) =>
  chats.filter((chat) => {
    const lease = beginLease(cache, chatOf(chat))
    lease.release()
    return lease.plan.matchedTokens === 4 * blockTokens
  })

const serveChats = async (cache: Cache, chats: readonly number[]) => {
  for (const chat of chats) await serveToy(cache, chatOf(chat))
  await cache.flush()
}

const eight = [1, 2, 3, 4, 5, 6, 7, 8]

describe('a RAM tier that becomes smaller', () => {
  const openRam = (more: ToyCacheOptions = {}) =>
    openToyCache({ ssd: null, ramBlocks: 32, ...more })

  it('keeps what was used last, every byte of it, and lets the rest go', async () => {
    const { cache, warnings } = openRam()
    await serveChats(cache, eight)
    await serveChats(cache, [2, 1])
    await cache.budgets.resizeRam(16 * blockBytes)
    await settled(cache)
    expect(cache.budgets.ram()).toMatchObject({
      budgetBytes: 16 * blockBytes,
      openedWithBytes: 32 * blockBytes,
      usedBytes: 16 * blockBytes,
      heldBytes: 16 * blockBytes,
      waitsFor: null,
    })
    // `restoreAll` compares every row with what was computed.
    for (const chat of [1, 2, 7, 8]) {
      expect((await serveToy(cache, chatOf(chat))).restored).toBe(whole())
    }
    expect(cache.usage()[0]).toMatchObject({ capacityBytes: 16 * blockBytes, evictedRecords: 16 })
    expect(warnings).toEqual([])
    await cache.close()
  })

  it('never takes more from then on, and has its old size again when it is told so', async () => {
    const { cache } = openRam()
    await cache.budgets.resizeRam(16 * blockBytes)
    for (const chat of eight) {
      await serveToy(cache, chatOf(chat))
      expect(cache.arena.usedBytes).toBeLessThanOrEqual(16 * blockBytes)
    }
    expect(storedOf(cache, eight)).toEqual([5, 6, 7, 8])
    await cache.budgets.resizeRam(32 * blockBytes)
    await serveChats(cache, eight)
    expect(storedOf(cache, eight)).toEqual(eight)
    await cache.close()
  })

  it('waits for what a request holds, says so, and goes on when it has ended', async () => {
    const { cache } = openRam()
    await serveChats(cache, eight)
    const tokens = chatOf(8)
    const lease = beginLease(cache, tokens)
    const windows = lease.windows()
    const first = await windows.next()
    await cache.budgets.resizeRam(2 * blockBytes)
    await expect.poll(() => cache.budgets.ram().waitsFor).toBe('in_use')
    expect(cache.budgets.ram()).toMatchObject({
      budgetBytes: 2 * blockBytes,
      usedBytes: 4 * blockBytes,
      isShrinking: true,
      waitsFor: 'in_use',
    })
    const [loaded] = first.value ?? []
    expect(loaded && cache.arena.isCurrent(loaded.bytes)).toBe(true)
    await windows.return(undefined)
    lease.release()
    await settled(cache)
    expect(cache.arena.usedBytes).toBeLessThanOrEqual(2 * blockBytes)
    await cache.close()
  })

  it('lets a later change take the place of one that is still under way', async () => {
    const { cache } = openRam()
    await serveChats(cache, eight)
    const lease = beginLease(cache, chatOf(8))
    const windows = lease.windows()
    await windows.next()
    await cache.budgets.resizeRam(2 * blockBytes)
    await cache.budgets.resizeRam(32 * blockBytes)
    expect(cache.budgets.ram()).toMatchObject({ isShrinking: false, waitsFor: null })
    await windows.return(undefined)
    lease.release()
    await serveChats(cache, eight)
    expect(storedOf(cache, eight)).toEqual(eight)
    await cache.close()
  })
})

describe('an SSD tier that becomes smaller', () => {
  async function openDisk(options: Partial<SsdTierOptions> = {}, more: ToyCacheOptions = {}) {
    const directory = makeDirectory()
    cleanUps.push(() => directory.remove())
    const given = { capacityBytes: 32 * mebibyte, ...options }
    const openTier = (capacityBytes = given.capacityBytes): Promise<SsdTier> =>
      openTestTier(directory.path, { ...given, capacityBytes })
    const ssd = await openTier()
    const opened = openToyCache({ ssd, ramBlocks: 8, ...more })
    const fileBytes = () => statSync(join(directory.path, 'spill.slab')).size
    return { ...opened, ssd, openTier, fileBytes }
  }

  it('moves what is left before its end, cuts the file, and loses nothing of it', async () => {
    const { cache, openTier, fileBytes, warnings } = await openDisk()
    await serveChats(cache, eight)
    // The last ones lie at the end of the file.
    await serveChats(cache, [8, 7])
    expect(fileBytes()).toBe(32 * mebibyte)
    await cache.budgets.resizeSsd(12 * mebibyte)
    await settled(cache)
    expect(fileBytes()).toBe(12 * mebibyte)
    expect(cache.budgets.ssd()).toEqual({
      budgetBytes: 12 * mebibyte,
      openedWithBytes: 32 * mebibyte,
      usedBytes: 12 * mebibyte,
      heldBytes: 12 * mebibyte,
      isShrinking: false,
      waitsFor: null,
    })
    expect(storedOf(cache, eight)).toEqual([6, 7, 8])
    await cache.close()

    // LMDB says the same, to a tier of any size.
    const reopened = openToyCache({ ssd: await openTier(), ramBlocks: 8 })
    for (const chat of [6, 7, 8]) {
      expect((await serveToy(reopened.cache, chatOf(chat))).restored).toBe(whole())
    }
    expect([...warnings, ...reopened.warnings]).toEqual([])
    await reopened.cache.close()
  })

  it('is not read wrongly, and not refused to anybody, while it moves its records', async () => {
    const { cache, fileBytes, warnings } = await openDisk()
    await serveChats(cache, eight)
    const resized = cache.budgets.resizeSsd(16 * mebibyte)
    for (let round = 0; round < 3; round++) {
      for (const chat of [5, 6, 7, 8]) {
        expect((await serveToy(cache, chatOf(chat))).restored).toBe(whole())
      }
    }
    await resized
    await settled(cache)
    expect(fileBytes()).toBe(16 * mebibyte)
    for (const chat of [5, 6, 7, 8]) {
      expect((await serveToy(cache, chatOf(chat))).restored).toBe(whole())
    }
    expect(cache.counters).toEqual({ corruptBlocks: 0, failedWrites: 0, refusedWrites: 0 })
    expect(warnings).toEqual([])
    await cache.close()
  })

  it('lets what stands on it in RAM alone go along, where nothing else may go', async () => {
    const { cache, warnings } = await openDisk()
    await serveChats(cache, [1])
    await serveToy(cache, chatOf(1, 6), { spill: false })
    await cache.evict([...cache.index.blocks()].slice(0, 4), 'ram')
    await cache.budgets.resizeSsd(2 * mebibyte)
    await settled(cache)
    expect(cache.budgets.ssd()).toMatchObject({ usedBytes: 2 * mebibyte, waitsFor: null })
    expect((await serveToy(cache, chatOf(1, 6), { spill: false })).restored).toBe(2 * blockTokens)
    expect(warnings).toEqual([])
    await cache.close()
  })

  it('keeps what is pinned although that is too much, and says so', async () => {
    const { cache } = await openDisk()
    await serveChats(cache, eight)
    for (const chat of [1, 2]) {
      const lease = beginLease(cache, chatOf(chat))
      const end = lease.end
      lease.release()
      if (end === null) throw new Error(`chat ${chat} is not stored`)
      expect(cache.pin(end.hash, { untilMs: null, isExact: false })).toBeNull()
    }
    await cache.budgets.resizeSsd(6 * mebibyte)
    while (cache.budgets.ssd()?.waitsFor === null) await new Promise((turn) => setTimeout(turn, 5))
    expect(cache.budgets.ssd()).toMatchObject({ usedBytes: 8 * mebibyte, waitsFor: 'kept' })
    // The last one is in RAM.
    expect(storedOf(cache, eight)).toEqual([1, 2, 8])
    await cache.close()
  })

  it('moves no more than the day’s writes allow, and goes on when they do', async () => {
    let nowMs = 0
    const { cache, fileBytes } = await openDisk({}, { now: () => nowMs })
    await serveChats(cache, eight)
    cache.changeSsdWrites(4 * blockBytes)
    await cache.budgets.resizeSsd(16 * mebibyte)
    while (cache.budgets.ssd()?.waitsFor === null) await new Promise((turn) => setTimeout(turn, 5))
    expect(cache.budgets.ssd()).toMatchObject({
      usedBytes: 16 * mebibyte,
      isShrinking: true,
      waitsFor: 'writes',
    })
    expect(fileBytes()).toBeGreaterThan(16 * mebibyte)
    nowMs += 24 * 3_600_000
    cache.changeSsdWrites(null)
    await settled(cache)
    expect(fileBytes()).toBe(16 * mebibyte)
    expect(storedOf(cache, eight)).toEqual([5, 6, 7, 8])
    await cache.close()
  })

  it('asks a disk again that does not let go, and evicts nothing more for that', async () => {
    const { ssd } = await openDisk()
    let isFull = true
    const remove: SsdTier['remove'] = (keys) =>
      isFull && keys.length > 0 ? Promise.reject(new Error('no space')) : ssd.remove(keys)
    const { cache, warnings } = openToyCache({ ssd: { ...ssd, remove }, ramBlocks: 8 })
    await serveChats(cache, eight)
    await cache.budgets.resizeSsd(16 * mebibyte)
    while (cache.budgets.ssd()?.waitsFor === null) await new Promise((turn) => setTimeout(turn, 5))
    await new Promise((resolve) => setTimeout(resolve, 1_200))
    expect(cache.budgets.ssd()).toMatchObject({ isShrinking: true, waitsFor: 'writes' })
    expect(storedOf(cache, eight)).toEqual([5, 6, 7, 8])
    expect(warnings).toEqual(['the SSD tier cannot become smaller now'])
    isFull = false
    await settled(cache)
    expect(cache.budgets.ssd()).toMatchObject({ usedBytes: 16 * mebibyte, waitsFor: null })
    expect(storedOf(cache, eight)).toEqual([5, 6, 7, 8])
    await cache.close()
  })

  it('goes down to what a restart has given it, and loses nothing of what fits', async () => {
    let nowMs = 0
    const now = () => ++nowMs
    const { cache, openTier, fileBytes } = await openDisk({}, { now })
    await serveChats(cache, eight)
    // What was used last lies at the end of the file.
    await cache.close()
    const ssd = await openTier(12 * mebibyte)
    const reopened = openToyCache({ ssd, ramBlocks: 8, now })
    reopened.cache.budgets.begin()
    await new Promise((resolve) => setTimeout(resolve, 1))
    await settled(reopened.cache)
    expect(fileBytes()).toBe(12 * mebibyte)
    for (const chat of [6, 7, 8]) {
      expect((await serveToy(reopened.cache, chatOf(chat))).restored).toBe(whole())
    }
    expect(reopened.warnings).toEqual([])
    await reopened.cache.close()
  })

  it('ends with the service although it has not come to its end', async () => {
    const { cache, openTier } = await openDisk()
    await serveChats(cache, eight)
    const lease = beginLease(cache, chatOf(8))
    await cache.budgets.resizeSsd(2 * mebibyte)
    lease.release()
    await cache.close()
    const reopened = openToyCache({ ssd: await openTier(), ramBlocks: 8 })
    expect(reopened.warnings).toEqual([])
    await reopened.cache.close()
  })

  it('grows to any size when it is told so', async () => {
    const { cache, fileBytes } = await openDisk({ capacityBytes: 8 * mebibyte })
    await serveChats(cache, eight)
    expect(storedOf(cache, eight)).toEqual([7, 8])
    await cache.budgets.resizeSsd(64 * mebibyte)
    expect(cache.budgets.ssd()).toMatchObject({ budgetBytes: 64 * mebibyte, isShrinking: false })
    await serveChats(cache, eight)
    expect(storedOf(cache, eight)).toEqual(eight)
    expect(fileBytes()).toBeGreaterThanOrEqual(32 * mebibyte)
    await cache.close()
  })
})

it.runIf(process.platform === 'linux')(
  'memory behind the end goes back to the system, and what is before it does not',
  async () => {
    const arena = createArena({ sizeBytes: 64 * mebibyte, shared: true })
    const heldBytes = () => fstatSync(arena.fd as number).blocks * 512
    for await (const _ of arena.warmUp());
    arena.view(0, 4).set([1, 2, 3, 4])
    expect(heldBytes()).toBe(64 * mebibyte)
    arena.resize(20 * mebibyte)
    expect(await arena.giveBack(new AbortController().signal)).toBe(true)
    expect(heldBytes()).toBe(20 * mebibyte)
    expect([...arena.view(0, 4)]).toEqual([1, 2, 3, 4])
    arena.resize(64 * mebibyte)
    for await (const _ of arena.warmUp(undefined, 20 * mebibyte));
    expect(heldBytes()).toBe(64 * mebibyte)
    arena.close()
  },
)

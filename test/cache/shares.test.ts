import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Cache } from '../../cache/index.ts'
import { Shares } from '../../cache/shares.ts'
import type { Namespace, ShareLimits, TierName } from '../../cache/types.ts'
import { createMemorySsd } from '../support/memory-ssd.ts'
import {
  blockBytes,
  blockTokens,
  mebibyte,
  openToyCache,
  type ToyCacheOptions,
} from '../support/open-toy-cache.ts'
import { beginLease, saveAll, serveToy, tokensOf } from '../support/toy-engine.ts'

/** Namespaces begin with the letter of whoever they belong to. */
const namespaceOf = (owner: string, salt = '0'): Namespace =>
  `${owner}${salt}`.padEnd(64, '0') as Namespace
const groupsOf = (namespace: Namespace): string[] => [`tenant:${namespace[0]}`]

const chatOf = (chat: number, blocks = 4) => tokensOf([chat * 1_000_000, blocks * blockTokens])

const half: ShareLimits = { ram: { part: 0.5 }, ssd: { part: 0.5 } }

interface Opened extends ToyCacheOptions {
  readonly limits?: Readonly<Record<string, ShareLimits>>
}

/** 32 blocks of RAM, and as many of the SSD where there is one. */
function open({ limits = { 'tenant:a': half }, ...more }: Opened = {}) {
  let nowMs = 0
  const now = () => ++nowMs
  const opened = openToyCache({ ssd: null, ramBlocks: 32, ...more, now })
  const { cache } = opened
  cache.shares.groupBy(groupsOf)
  cache.shares.limit(new Map(Object.entries(limits)))
  const serve = async (owner: string, chat: number, blocks = 4) => {
    const served = await serveToy(cache, chatOf(chat, blocks), { namespace: namespaceOf(owner) })
    await cache.flush()
    return served
  }
  const stored = (owner: string, chats: readonly number[]) =>
    chats.filter((chat) => {
      const lease = beginLease(cache, chatOf(chat), { namespace: namespaceOf(owner) })
      lease.release()
      return lease.plan.matchedTokens === 4 * blockTokens
    })
  return { ...opened, serve, stored }
}

const usedBy = (cache: Cache, name: string, tier: TierName) =>
  cache.shares.usage().find((share) => share.name === name)?.usedBytes[tier] ?? 0

/** What the index says that they hold. */
function heldInRam(cache: Cache, owner: string): number {
  let sumBytes = 0
  for (const { namespace, records } of cache.index.blocks()) {
    if (namespace[0] !== owner) continue
    for (const { extent } of records) {
      if (extent !== null) sumBytes += cache.arena.allocatedBytes(extent.sizeBytes)
    }
  }
  return sumBytes
}

describe('whoever has a share of the RAM tier', () => {
  it('makes room for more from its own, oldest first, and takes nothing from others', async () => {
    const { cache, serve, stored } = open()
    for (const chat of [1, 2, 3]) await serve('b', chat)
    for (const chat of [11, 12, 13, 14]) await serve('a', chat)
    // There are 4 blocks left, and they are not its own.
    for (const chat of [15, 16]) await serve('a', chat)
    expect(stored('b', [1, 2, 3])).toEqual([1, 2, 3])
    expect(stored('a', [11, 12, 13, 14, 15, 16])).toEqual([13, 14, 15, 16])
    expect(usedBy(cache, 'tenant:a', 'ram')).toBe(16 * blockBytes)
    expect(heldInRam(cache, 'a')).toBe(16 * blockBytes)
  })

  it('keeps what was used since it last had to make room', async () => {
    const { serve, stored } = open()
    for (const chat of [11, 12, 13, 14, 15]) await serve('a', chat)
    expect((await serve('a', 12)).restored).toBe(4 * blockTokens - 1)
    await serve('a', 16)
    expect(stored('a', [11, 12, 13, 14, 15, 16])).toEqual([12, 14, 15, 16])
  })

  it('never has more, also while many of its requests run at once', async () => {
    const { cache } = open()
    const most = 16 * blockBytes
    const seen: number[] = []
    const watch = setInterval(() => seen.push(usedBy(cache, 'tenant:a', 'ram')), 0)
    const serve = async (chat: number) => {
      const salt = String(chat % 3)
      await serveToy(cache, chatOf(chat, 3), { namespace: namespaceOf('a', salt) })
      seen.push(usedBy(cache, 'tenant:a', 'ram'))
    }
    await Promise.all(Array.from({ length: 12 }, (_, chat) => serve(chat + 1)))
    clearInterval(watch)
    expect(Math.max(...seen)).toBeLessThanOrEqual(most)
    expect(usedBy(cache, 'tenant:a', 'ram')).toBe(heldInRam(cache, 'a'))
    expect(heldInRam(cache, 'a')).toBeGreaterThan(most / 2)
  })

  it('goes before all others when it has more than a share that was made smaller', async () => {
    const { cache, serve, stored } = open({ limits: {} })
    for (const chat of [1, 2, 3, 4]) await serve('b', chat)
    for (const chat of [11, 12, 13, 14]) await serve('a', chat)
    cache.shares.limit(new Map([['tenant:a', half]]))
    await cache.budgets.resizeRam(24 * blockBytes)
    await cache.budgets.evictSurplus()
    // Its half is 12 blocks now, and the others' 16 do not fit beside them any more.
    expect(stored('a', [11, 12, 13, 14])).toEqual([12, 13, 14])
    expect(usedBy(cache, 'tenant:a', 'ram')).toBe(12 * blockBytes)
    await cache.close()
  })

  it('restores what is larger than its share, window by window, from the SSD', async () => {
    const ssd = createMemorySsd(64 * mebibyte)
    const limits = { 'tenant:a': { ram: { bytes: 8 * blockBytes }, ssd: null } }
    const { cache, serve, warnings } = open({ ssd, limits })
    for (const chat of [1, 2]) await serve('b', chat)
    await serve('a', 11, 16)
    expect((await serve('a', 11, 16)).restored).toBe(16 * blockTokens - 1)
    expect(usedBy(cache, 'tenant:a', 'ram')).toBeLessThanOrEqual(8 * blockBytes)
    expect(heldInRam(cache, 'b')).toBe(8 * blockBytes)
    expect(warnings).toEqual([])
  })

  it('stores nothing of what takes more than its share at once, and is answered', async () => {
    const limits = { 'tenant:a': { ram: { part: 0 }, ssd: { part: 0 } } }
    const { cache, serve } = open({ limits })
    const served = await serve('a', 11)
    expect([served.restored, served.committed]).toEqual([0, 0])
    expect(heldInRam(cache, 'a')).toBe(0)
  })
})

describe('whoever has a share of the SSD tier', () => {
  const openSsd = (limits: Readonly<Record<string, ShareLimits>>) => {
    const ssd = createMemorySsd(32 * mebibyte)
    return { ssd, ...open({ ssd, ramBlocks: 64, limits }) }
  }

  it('makes room for more from its own, and takes nothing from others', async () => {
    const limits = { 'tenant:a': { ram: null, ssd: { bytes: 12 * mebibyte } } }
    const { cache, serve, ssd } = openSsd(limits)
    for (const chat of [1, 2, 3]) await serve('b', chat)
    for (const chat of [11, 12, 13, 14, 15, 16]) await serve('a', chat)
    expect(usedBy(cache, 'tenant:a', 'ssd')).toBe(12 * mebibyte)
    expect(ssd.usage().usedBytes).toBe(24 * mebibyte)
    expect(cache.counters).toMatchObject({ failedWrites: 0, refusedWrites: 0 })
    const held = new Map(cache.shares.held())
    expect(held.get(namespaceOf('b'))?.ssd).toBe(12 * mebibyte)
  })

  it('has what was stored by earlier runs counted, and cut to its share', async () => {
    const { cache, serve, ssd } = openSsd({})
    for (const chat of [11, 12, 13, 14]) await serve('a', chat)
    await serve('b', 1)
    await cache.close()
    const reopened = open({ ssd: ssd.reopen(), ramBlocks: 64 })
    expect(usedBy(reopened.cache, 'tenant:a', 'ssd')).toBe(16 * mebibyte)
    reopened.cache.shares.limit(
      new Map([['tenant:a', { ram: null, ssd: { bytes: 8 * mebibyte } }]]),
    )
    await reopened.cache.budgets.evictSurplus()
    expect(usedBy(reopened.cache, 'tenant:a', 'ssd')).toBe(8 * mebibyte)
    expect(reopened.stored('a', [11, 12, 13, 14])).toEqual([13, 14])
    expect(reopened.stored('b', [1])).toEqual([1])
  })

  it('is refused what does not fit while all of its own is in use', async () => {
    const limits = { 'tenant:a': { ram: null, ssd: { bytes: 4 * mebibyte } } }
    const { cache, serve, warnings } = openSsd(limits)
    await serve('a', 11)
    const namespace = namespaceOf('a')
    const lease = beginLease(cache, chatOf(11), { namespace })
    const served = await serveToy(cache, chatOf(12), { namespace })
    expect(served.savedTokens).toBe(0)
    // Of several blocks, and in the words of one warning, which the log then writes once.
    expect(warnings.length).toBeGreaterThan(1)
    expect([...new Set(warnings)]).toEqual([
      'the SSD tier has no room for some blocks; they stay in RAM only',
    ])
    // Nothing is the matter with the disk.
    expect(cache.counters.failedWrites).toBe(0)
    expect(cache.counters.refusedWrites).toBeGreaterThan(0)
    lease.release()
    expect(usedBy(cache, 'tenant:a', 'ssd')).toBe(4 * mebibyte)
    expect((await serve('a', 13)).savedTokens).toBe(4 * blockTokens)
    expect(usedBy(cache, 'tenant:a', 'ssd')).toBe(4 * mebibyte)
  })
})

it('a share for each is one of its own for everybody who has no other', async () => {
  const quarter: ShareLimits = { ram: { part: 0.25 }, ssd: null }
  const { cache, serve } = open({ limits: { 'tenant:*': quarter, 'tenant:a': half } })
  // Who is named is listed before it has anything.
  const idle = { name: 'tenant:a', usedBytes: { ram: 0, ssd: 0 } }
  expect(cache.shares.usage()).toMatchObject([idle])
  for (const chat of [1, 2, 3, 4, 5]) {
    for (const owner of ['a', 'b', 'c']) await serve(owner, chat)
  }
  const used = cache.shares.usage().map(({ name, usedBytes }) => [name, usedBytes.ram / blockBytes])
  expect(used.sort()).toEqual([
    ['tenant:a', 16],
    ['tenant:b', 8],
    ['tenant:c', 8],
  ])
})

it('a reservation counts, and no longer when it came to nothing', async () => {
  const { cache } = open()
  const namespace = namespaceOf('a')
  const lease = beginLease(cache, chatOf(1), { namespace })
  const tokens = chatOf(1).subarray(0, blockTokens)
  const saveable = { kind: 'kv', from: 0, to: blockTokens, sizeBytes: blockBytes } as const
  expect(await lease.reserve({ ...saveable, tokens, grid: true })).not.toBeNull()
  expect(usedBy(cache, 'tenant:a', 'ram')).toBe(blockBytes)
  lease.release()
  expect(usedBy(cache, 'tenant:a', 'ram')).toBe(0)
  expect([...cache.shares.held()]).toEqual([])
  const again = beginLease(cache, chatOf(1), { namespace })
  await saveAll(cache, again, chatOf(1), 0)
  again.release()
  expect(usedBy(cache, 'tenant:a', 'ram')).toBe(4 * blockBytes)
})

it('the sums of groups are those of their members, whatever comes, goes and is renamed', () => {
  const owners = ['a', 'b', 'c'] as const
  const step = fc.record({
    owner: fc.constantFrom(...owners),
    salt: fc.constantFrom('0', '1'),
    tier: fc.constantFrom('ram' as const, 'ssd' as const),
    bytes: fc.integer({ min: 1, max: 9 }),
    goes: fc.boolean(),
    limits: fc.subarray(['tenant:a', 'tenant:b', 'tenant:*']),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (script) => {
      const shares = new Shares({ capacityBytes: () => 100 })
      shares.groupBy(groupsOf)
      const held = new Map<string, number>()
      for (const { owner, salt, tier, bytes, goes, limits } of script) {
        const key = `${owner}${tier}${salt}`
        const before = held.get(key) ?? 0
        const change = goes ? -Math.min(bytes, before) : bytes
        held.set(key, before + change)
        shares.count(namespaceOf(owner, salt), tier, change)
        shares.limit(new Map(limits.map((name) => [name, half])))
        for (const { name, usedBytes } of shares.usage()) {
          for (const each of ['ram', 'ssd'] as const) {
            const own = `${name.slice(-1)}${each}`
            const sum = (held.get(`${own}0`) ?? 0) + (held.get(`${own}1`) ?? 0)
            expect(usedBytes[each]).toBe(sum)
            const isOver = shares.exceeded(namespaceOf(name.slice(-1)), each, 1) !== null
            expect(isOver).toBe(sum + 1 > 50)
          }
        }
      }
    }),
  )
})

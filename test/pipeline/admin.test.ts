import { describe, expect, it } from 'vitest'
import type { PinStore } from '../../src/catalog/types.ts'
import { createAdmin } from '../../src/pipeline/admin.ts'
import type { PrefixQuery } from '../../src/pipeline/types.ts'
import { pinsInMemory } from '../support/memory-pins.ts'
import { createMemorySsd } from '../support/memory-ssd.ts'
import { catalogFolder } from '../support/open-catalog.ts'
import { blockBytes, blockTokens, mebibyte, openToyCache } from '../support/open-toy-cache.ts'
import { beginLease, serveToy, tokensOf } from '../support/toy-engine.ts'

const shared = [0, 2 * blockTokens] as const
const first = tokensOf(shared, [100_000, blockTokens])
const second = tokensOf(shared, [200_000, blockTokens + 7])

async function open(pinStore: PinStore = pinsInMemory(), ssd = createMemorySsd(64 * mebibyte)) {
  let nowMs = 1_000
  const { cache } = openToyCache({ ssd, now: () => nowMs })
  const warnings: string[] = []
  const admin = createAdmin({
    cache,
    catalog: catalogFolder().open(),
    pinStore,
    warn: (message) => warnings.push(message),
    endsOf: () => [],
    servedAs: (name) => (name === 'default' ? 'toy' : null),
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
  return { cache, ssd, admin, warnings, serve, at: (ms: number) => (nowMs = ms) }
}

const looking = { dryRun: true, force: false }
const freeing = { dryRun: false, force: false }

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

  it('does not begin again behind a prefix that is not there', async () => {
    const { admin } = await open()
    for (const cursor of ['zzz', '']) {
      expect(() => admin.prefixes(query({ cursor }))).toThrow(
        expect.objectContaining({ code: 'PREFIXD_E_INVALID_VALUE', field: 'cursor' }),
      )
    }
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

  it('says of itself and of what it stands on how much evicting frees beside pins', async () => {
    const { admin } = await open()
    const [longer, shorter] = admin.prefixes(query()).prefixes.map(({ id }) => admin.prefix(id))
    const freed = (id: string) => admin.prefix(id).reclaimableBytes
    const inner = longer?.blocks[1]?.hash ?? ''
    expect(freed(inner)).toBe((longer?.sizeBytes ?? 0) + blockBytes)
    await admin.pin(longer?.blocks[2]?.hash ?? '', null)
    expect(freed(longer?.id ?? '')).toBe(longer?.blocks[3]?.sizeBytes)
    expect(freed(shorter?.id ?? '')).toBe(blockBytes)
    await admin.evict({ ids: [inner] }, freeing)
    expect(admin.prefixes(query()).prefixes.map(({ tokens }) => tokens)).toEqual([3 * blockTokens])
    expect(freed(inner)).toBe(0)
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
    const dry = await admin.evict({ ids: [id] }, looking)
    expect(dry).toMatchObject({ dryRun: true, blocks: 1, prefixes: 1, keptBlocks: 0 })
    expect(cache.index.blockCount).toBe(5)
    const before = cache.usage().map((tier) => tier.usedBytes)
    const done = await admin.evict({ ids: [id] }, freeing)
    expect(done.freedBytes).toEqual(dry.freedBytes)
    const after = cache.usage().map((tier) => tier.usedBytes)
    expect(before.map((bytes, i) => bytes - (after[i] ?? 0))).toEqual([
      done.freedBytes.ram,
      done.freedBytes.ssd,
    ])
    expect(cache.index.blockCount).toBe(4)
  })

  it('names the id that is none, and shows no more of it than anybody reads', async () => {
    const { admin, cache } = await open()
    const id = admin.prefixes(query()).prefixes[0]?.id ?? ''
    const wrong = 'z'.repeat(5_000_000)
    const message = `'${'z'.repeat(64)}…' is not a prefix id: it takes 2 to 16 hex digits.`
    const field = 'ids[1]'
    await expect(admin.evict({ ids: [id, wrong] }, freeing)).rejects.toMatchObject({
      field,
      message,
    })
    await expect(admin.pin(wrong, null)).rejects.toMatchObject({ field: 'id', message })
    expect(cache.index.blockCount).toBe(5)
  })

  it.each([
    [{ model: 'tpy' }, 'PREFIXD_E_MODEL_NOT_FOUND', 'model'],
    [{ tenant: 'nobody' }, 'PREFIXD_E_PREFIX_NOT_FOUND', 'tenant'],
    [{ namespace: 'xyz' }, 'PREFIXD_E_PREFIX_NOT_FOUND', 'namespace'],
  ])('refuses %j, which nobody has heard of', async (selector, code, field) => {
    const { admin } = await open()
    for (const how of [looking, freeing]) {
      await expect(admin.evict(selector, how)).rejects.toMatchObject({ code, field })
    }
  })

  it('takes any name of a served model, and finds nothing where all went before', async () => {
    const { admin } = await open()
    expect(await admin.evict({ model: 'toy' }, looking)).toMatchObject({ blocks: 5 })
    expect(await admin.evict({ model: 'default' }, freeing)).toMatchObject({ blocks: 5 })
    expect(await admin.evict({ model: 'default' }, freeing)).toMatchObject({ blocks: 0 })
  })

  it('keeps what a request uses, and says how much that is', async () => {
    const { admin, cache } = await open()
    const lease = beginLease(cache, tokensOf(shared, [7, 1]))
    const report = await admin.evict({ all: true }, freeing)
    expect(report).toMatchObject({ blocks: 3, prefixes: 1, keptBlocks: 2 })
    lease.release()
    expect(await admin.evict({ all: true }, freeing)).toMatchObject({ blocks: 2, keptBlocks: 0 })
    expect(cache.usage().map((tier) => tier.usedBytes)).toEqual([0, 0])
  })

  it('takes only what has not been used for that long', async () => {
    const { admin, serve, at } = await open()
    await serve(second, 9_000)
    at(10_000)
    const report = await admin.evict({ olderThanMs: 5_000 }, freeing)
    expect(report).toMatchObject({ blocks: 1, prefixes: 1 })
    expect(admin.prefixes(query()).prefixes[0]?.tokens).toBe(second.length)
  })

  it('clears one tier and keeps the copies of the other', async () => {
    const { admin, cache, serve } = await open()
    const report = await admin.evict({ tier: 'ram' }, freeing)
    expect(report).toMatchObject({ blocks: 5, prefixes: 0, freedBytes: { ssd: 0 } })
    expect(cache.usage()[0]?.usedBytes).toBe(0)
    expect((await serve(first, 4_000)).plan.tier).toBe('ssd')
    const again = await admin.evict({ tier: 'ram' }, looking)
    expect(again).toMatchObject({ blocks: 3, keptBlocks: 0 })
  })

  it('clears the SSD tier from the leaves up', async () => {
    const { admin, cache, serve } = await open()
    expect(await admin.evict({ tier: 'ssd' }, freeing)).toMatchObject({ blocks: 5, prefixes: 0 })
    expect(cache.usage()[1]?.usedBytes).toBe(0)
    expect((await serve(first, 4_000)).plan.tier).toBe('ram')
  })
})

describe('pins', () => {
  it('are listed with what they keep, and shown with the prefix', async () => {
    const { admin } = await open()
    const [newest, oldest] = admin.prefixes(query()).prefixes
    const pin = await admin.pin(oldest?.id.slice(0, 8) ?? '', 60_000)
    expect(pin).toEqual({
      id: oldest?.id,
      model: 'toy',
      tokens: first.length,
      sizeBytes: 3 * blockBytes,
      state: 'kept',
      untilMs: 63_000,
      createdAtMs: 3_000,
    })
    const { pins, tiers } = admin.pins()
    expect(pins).toEqual([pin])
    expect(tiers).toEqual([
      { tier: 'ram', keptBytes: 0, mostBytes: 32 * blockBytes },
      { tier: 'ssd', keptBytes: 3 * mebibyte, mostBytes: 32 * mebibyte },
    ])
    expect(admin.prefix(oldest?.id ?? '')).toMatchObject({ pinned: true, pinnedUntilMs: 63_000 })
    expect(admin.prefix(newest?.id ?? '')).toMatchObject({ pinned: false, pinnedUntilMs: null })
  })

  it('end, are prolonged, and are taken back', async () => {
    const { admin, at } = await open()
    const id = admin.prefixes(query()).prefixes[0]?.id ?? ''
    await admin.pin(id, 60_000)
    expect(await admin.pin(id, null)).toMatchObject({ untilMs: null, createdAtMs: 3_000 })
    await admin.pin(id, 1_000)
    at(4_000)
    expect(admin.pins().pins).toEqual([])
    await expect(admin.unpin(id)).rejects.toThrowError(/No pinned prefix begins with/)
    await admin.pin(id, null)
    expect(await admin.unpin(id.slice(0, 6))).toMatchObject({ id })
    expect(admin.pins().pins).toEqual([])
  })

  it('are remembered over a restart, also while their prefix is not stored', async () => {
    const store = pinsInMemory([{ hash: 'feedfeedfeedfeed', untilMs: null, createdAtMs: 5 }])
    const before = await open(store)
    const id = before.admin.prefixes(query()).prefixes[0]?.id ?? ''
    await before.admin.pin(id, null)
    const after = await open(store, before.ssd.reopen())
    expect(after.admin.pins().pins.map((pin) => [pin.id, pin.state])).toEqual([
      ['feedfeedfeed', 'not_stored'],
      [id, 'kept'],
    ])
    expect(after.warnings).toEqual([])
  })

  it('are named by a beginning of their ids that no other one has', async () => {
    const hashes = ['feedfeedfeedfeed', 'feedbeeffeedfeed']
    const waiting = hashes.map((hash) => ({ hash, untilMs: null, createdAtMs: 5 }))
    const { admin } = await open(pinsInMemory(waiting))
    const several = /^feed begins several pinned ids: feedfeedfeed, feedbeeffeed\.$/
    await expect(admin.unpin('feed')).rejects.toThrowError(several)
    await expect(admin.unpin('f')).rejects.toThrowError("'f' is not a prefix id")
    expect(await admin.unpin('FEEDB')).toMatchObject({ id: 'feedbeeffeed' })
  })

  it('that wait for their prefix are changed like others', async () => {
    const waiting = { hash: 'feedfeedfeedfeed', untilMs: null, createdAtMs: 5 }
    const { admin } = await open(pinsInMemory([waiting]))
    expect(await admin.pin('feed', 60_000)).toMatchObject({
      id: 'feedfeedfeed',
      state: 'not_stored',
      untilMs: 63_000,
      createdAtMs: 5,
    })
    await expect(admin.pin('f', null)).rejects.toMatchObject({ code: 'PREFIXD_E_PREFIX_NOT_FOUND' })
    await admin.unpin('feed')
    await expect(admin.pin('feed', null)).rejects.toThrowError(/No stored prefix begins with/)
  })

  it('that no longer fit after a restart are listed as such, and warned of', async () => {
    const store = pinsInMemory()
    const before = await open(store)
    await before.admin.pin(before.admin.prefixes(query()).prefixes[0]?.id ?? '', null)
    const smaller = createMemorySsd(6 * mebibyte)
    const { admin, cache } = await open(store, smaller)
    expect(admin.pins().pins[0]?.state).toBe('no_room')
    expect(cache.keeping.keptBytes('ssd')).toBe(0)
    const again = await open(store, smaller.reopen())
    expect(again.admin.pins().pins[0]?.state).toBe('no_room')
    expect(again.warnings[0]).toMatch(/keeps nothing: 0 MiB of the ssd are pinned/)
  })

  it('that are refused leave the earlier pin, and say what to unpin', async () => {
    const { admin } = await open(pinsInMemory(), createMemorySsd(8 * mebibyte))
    const [long, short] = admin.prefixes(query()).prefixes
    await admin.pin(short?.id ?? '', null)
    await expect(admin.pin(long?.id ?? '', null)).rejects.toThrowError(
      expect.objectContaining({
        code: 'PREFIXD_E_PIN_LIMIT',
        message: expect.stringContaining('3 MiB of the ssd are pinned, this takes 2 MiB more'),
        next: expect.stringContaining('unpin'),
      }),
    )
    expect(admin.pins().pins.map(({ id }) => id)).toEqual([short?.id])
  })

  it('that cannot be stored are none', async () => {
    const full = () => Promise.reject(new Error('the disk is full'))
    const broken = { ...pinsInMemory(), replace: full }
    const { admin, cache } = await open(broken)
    const id = admin.prefixes(query()).prefixes[0]?.id ?? ''
    await expect(admin.pin(id, null)).rejects.toThrowError('the disk is full')
    expect(cache.keeping.keptBytes('ssd')).toBe(0)
  })

  it('that are changed at the same time are changed one after the other', async () => {
    const { admin, cache } = await open()
    const [newest, oldest] = admin.prefixes(query()).prefixes.map(({ id }) => id)
    const changes = [admin.pin(newest ?? '', null), admin.pin(oldest ?? '', null)]
    changes.push(admin.unpin(newest ?? ''), admin.pin(oldest ?? '', 60_000))
    await Promise.all(changes)
    const { pins } = admin.pins()
    expect(pins.map(({ id, untilMs }) => [id, untilMs])).toEqual([[oldest, 63_000]])
    expect(cache.keeping.keptBytes('ssd')).toBe(3 * mebibyte)
  })

  it('hold against eviction by hand, which says so, unless it is forced', async () => {
    const { admin, cache } = await open()
    const [, oldest] = admin.prefixes(query()).prefixes
    await admin.pin(oldest?.id ?? '', null)
    const looked = await admin.evict({ all: true }, looking)
    const done = await admin.evict({ all: true }, freeing)
    expect(done).toEqual({ ...looked, dryRun: false })
    expect(done).toMatchObject({ blocks: 2, pinnedBlocks: 3, keptBlocks: 0 })
    expect(await admin.evict({ tier: 'ram' }, freeing)).toMatchObject({
      blocks: 3,
      pinnedBlocks: 0,
    })
    expect(await admin.evict({ tier: 'ssd' }, freeing)).toMatchObject({
      blocks: 0,
      pinnedBlocks: 3,
    })
    const forced = await admin.evict({ all: true }, { dryRun: false, force: true })
    expect(forced).toMatchObject({ blocks: 3, pinnedBlocks: 0, freedBytes: { ssd: 3 * mebibyte } })
    expect(admin.pins().pins).toEqual([])
    expect(cache.index.blockCount).toBe(0)
  })
})

import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { open } from 'lmdb'
import { describe, expect, it } from 'vitest'
import xxhash from 'xxhash-wasm'
import { type Cache, verify } from '../../cache/index.ts'
import { recordOf } from '../../cache/prefix-index.ts'
import { examineLive } from '../../cache/tiers/live-examination.ts'
import { encodeHash, encodeKey } from '../../cache/tiers/record-format.ts'
import { openDatabases, openRecordIndex } from '../../cache/tiers/record-index.ts'
import { openSlab, slotBytes } from '../../cache/tiers/slab.ts'
import {
  blockTokens,
  long,
  other,
  readVerification,
  useCacheDirectory,
} from '../support/cache-directory.ts'
import { flipByte } from '../support/flip-byte.ts'
import { createMemorySsd } from '../support/memory-ssd.ts'
import { openToyCache, blockTokens as toyBlockTokens } from '../support/open-toy-cache.ts'
import { beginLease, restoreAll, serveToy, tokensOf } from '../support/toy-engine.ts'

const { h64Raw } = await xxhash()
const mebibyte = 1024 ** 2
const directory = useCacheDirectory()

const online = (cache: Cache, repair = false, signal = new AbortController().signal) =>
  readVerification(verify(cache.upkeep, { repair, yieldMs: 5_000, signal }))

describe('a cache that is in use', () => {
  it('in which all is right has nothing to report, in either tier', async () => {
    const { cache } = await directory.open()
    await serveToy(cache, long)
    await serveToy(cache, other)
    await cache.flush()
    const { findings, report } = await online(cache)
    expect(findings).toEqual([])
    expect(report.records).toBe(12)
  })

  it('finds a byte that flipped on the disk; a repair cuts the chain there', async () => {
    await directory.store()
    const { cache } = await directory.open()
    flipByte(directory.slab, 2 * mebibyte + 5)
    expect((await online(cache)).findings).toMatchObject([{ kind: 'checksum', mended: false }])
    expect(cache.index.blockCount).toBe(6)
    const { findings, report } = await online(cache, true)
    expect(findings).toMatchObject([{ kind: 'checksum', mended: true }])
    expect(report).toMatchObject({ corrupt: 1, removedRecords: 2 })
    expect(cache.index.blockCount).toBe(4)
    // The quarantined slot is no leak.
    expect((await online(cache)).findings).toEqual([])
    expect((await serveToy(cache, long)).restored).toBe(2 * blockTokens)
  })

  it('finds a byte that flipped on the disk; a repair writes the right copy in RAM again', async () => {
    const { cache, close } = await directory.open()
    await serveToy(cache, long)
    await serveToy(cache, other)
    await cache.flush()
    for (const slot of [0, 2]) flipByte(directory.slab, slot * mebibyte + 5)
    const { findings, report } = await online(cache, true)
    expect(findings).toHaveLength(2)
    expect(findings[0]).toMatchObject({ kind: 'checksum', mended: true })
    expect(report).toMatchObject({ corrupt: 2, removedRecords: 0 })
    expect((await online(cache)).report).toMatchObject({ records: 12, findings: 0 })
    await close()
    const again = await serveToy((await directory.open()).cache, long)
    expect(again).toMatchObject({ restored: long.length - 1, plan: { tier: 'ssd' } })
  })

  it('of which a record is damaged in both tiers is cut there by a repair', async () => {
    const { cache } = await directory.open()
    await serveToy(cache, long)
    await cache.flush()
    for (const { records } of cache.index.blocks()) {
      const extent = records[0]?.extent
      if (extent) cache.arena.view(extent.offset, 16)[4] = 0xee
    }
    flipByte(directory.slab, 2 * mebibyte + 5)
    await online(cache, true)
    expect((await online(cache)).findings).toEqual([])
    const again = await serveToy(cache, long)
    expect(again.restored).toBe(2 * blockTokens)
    expect(again.plan.miss).toEqual({ reason: 'corrupt', atToken: 2 * blockTokens })
  })

  it('finds a byte that flipped in RAM, and a repair goes on with the copy on the SSD', async () => {
    const { cache } = await directory.open()
    await serveToy(cache, long)
    await cache.flush()
    const first = [...cache.index.blocks()].find(({ index }) => index === 0)
    const extent = first && recordOf(first, 'kv')?.extent
    if (!extent) throw new Error('the first block has no copy in RAM')
    const view = cache.arena.view(extent.offset, 16)
    view[4] = 0xee
    expect((await online(cache, true)).findings).toMatchObject([{ kind: 'checksum', mended: true }])
    expect((await online(cache)).findings).toEqual([])
    const again = await serveToy(cache, long)
    expect(again).toMatchObject({ restored: long.length - 1, plan: { tier: 'ssd' } })
  })

  it('finds a copy whose place in the arena was given away', async () => {
    const { cache } = await directory.open()
    await serveToy(cache, long)
    await cache.flush()
    const [block] = [...cache.index.blocks()]
    const extent = block && recordOf(block, 'kv')?.extent
    if (!extent) throw new Error('the block has no copy in RAM')
    cache.arena.free(extent)
    expect((await online(cache, true)).findings).toMatchObject([{ kind: 'memory', mended: true }])
    expect((await online(cache)).findings).toEqual([])
    expect((await serveToy(cache, long)).restored).toBe(long.length - 1)
  })

  it('takes nothing for damage that comes and goes while it looks', async () => {
    // So small that every prompt evicts another one.
    const { cache } = await directory.open(12 * mebibyte)
    const prompts = Array.from({ length: 32 }, (_, i) => tokensOf([i * 10_000, 3 * blockTokens]))
    for (const prompt of prompts) await serveToy(cache, prompt)
    let isServed = false
    const serving = (async () => {
      for (let i = 0; !isServed; i++) {
        await serveToy(cache, prompts[i % prompts.length] as Uint32Array)
        // What is all in RAM never waits for anything.
        await nextTurn()
      }
    })()
    for (let round = 0; round < 5; round++) {
      const signal = new AbortController().signal
      const events = verify(cache.upkeep, { repair: false, yieldMs: 1, signal })
      expect((await readVerification(events)).findings).toEqual([])
    }
    isServed = true
    await serving
  })

  it('lets requests go first, and ends when it is told to', async () => {
    await directory.store()
    const { cache } = await directory.open()
    const lease = beginLease(cache, long)
    const stop = new AbortController()
    let isDone = false
    const verifying = online(cache, false, stop.signal).finally(() => {
      isDone = true
    })
    for (let i = 0; i < 20; i++) await nextTurn()
    expect(isDone).toBe(false)
    await restoreAll(cache, lease, long)
    stop.abort(new Error('enough'))
    lease.release()
    await expect(verifying).rejects.toThrow('enough')
  })

  it('can be closed in the middle', async () => {
    await directory.store()
    const { cache, close } = await directory.open()
    const events = verify(cache.upkeep, {
      repair: false,
      yieldMs: 1,
      signal: new AbortController().signal,
    })
    const verifying = readVerification(events)
    const outcome = expect(verifying).rejects.toMatchObject({ code: 'PREFIXD_E_CACHE_IO' })
    await close()
    await outcome
  })
})

describe('a right copy in RAM whose copy on the SSD is damaged', () => {
  it('goes on serving where the disk refuses to take it again', async () => {
    const ssd = createMemorySsd(64 * mebibyte)
    const { cache } = openToyCache({ ssd })
    const prompt = tokensOf([0, 3 * toyBlockTokens])
    await serveToy(cache, prompt)
    await cache.flush()
    const second = [...cache.index.blocks()].find(({ index }) => index === 1)
    if (second === undefined) throw new Error('the second block is not stored')
    ssd.damage(second.hash)
    ssd.failWrites(new Error('no'))
    const { report } = await online(cache, true)
    expect(report).toMatchObject({ corrupt: 1, removedRecords: 0 })
    // Only the first block stands on the disk; the two behind it are in RAM.
    expect(ssd.usage().records).toBe(1)
    expect((await serveToy(cache, prompt)).restored).toBe(prompt.length - 1)
  })
})

describe('an index that rots while a service has it open', () => {
  const places = [0, 1, 2, 3].map((index) => ({ index }))

  /** The four blocks of a prompt, in both tiers, of which a hand writes into LMDB. */
  async function openRotting() {
    const { cache, close } = await directory.open()
    await serveToy(cache, long)
    await cache.flush()
    const root = open<Buffer, Buffer>({ path: join(directory.path, 'index.mdb'), noSubdir: true })
    const { records, tokens } = openDatabases(root)
    const hashAt = (wanted: number) => {
      const block = [...cache.index.blocks()].find(({ index }) => index === wanted)
      if (block === undefined) throw new Error(`block ${wanted} is not stored`)
      return block.hash
    }
    const rot = {
      entryAt: async (index: number) => {
        const key = encodeKey({ hash: hashAt(index), kind: 'kv' })
        const value = Buffer.from(records.get(key) as Buffer)
        value[20] = (value[20] as number) ^ 1
        await records.put(key, value)
      },
      lostAt: (index: number) => records.remove(encodeKey({ hash: hashAt(index), kind: 'kv' })),
      tokensAt: (index: number) => tokens.put(encodeHash(hashAt(index)), Buffer.alloc(16)),
    }
    return { cache, close, rot }
  }

  async function serveAfterRestart(close: () => Promise<void>) {
    await close()
    return serveToy((await directory.open()).cache, long)
  }

  it.each(places)('gets entries that it has lost again from RAM: block $index', async (place) => {
    const { cache, close, rot } = await openRotting()
    await rot.lostAt(place.index)
    const { findings, report } = await online(cache, true)
    expect(findings).toMatchObject([{ kind: 'entry', what: expect.stringMatching(/missing/) }])
    expect(report.removedRecords).toBe(0)
    expect((await online(cache)).findings).toEqual([])
    expect(await serveAfterRestart(close)).toMatchObject({ restored: long.length - 1 })
  })

  it('gets all entries again from RAM, and their slots are no others’', async () => {
    const { cache, close, rot } = await openRotting()
    for (const { index } of places) await rot.entryAt(index)
    const usedBytes = () => cache.usage().find(({ tier }) => tier === 'ssd')?.usedBytes
    const before = usedBytes()
    const { findings, report } = await online(cache, true)
    expect(findings.map(({ kind }) => kind)).toEqual(places.map(() => 'entry'))
    expect(report.removedRecords).toBe(0)
    expect(usedBytes()).toBe(before)
    expect(await serveAfterRestart(close)).toMatchObject({ restored: long.length - 1 })
  })

  it('gets token ids again from memory', async () => {
    const { cache, close, rot } = await openRotting()
    for (const { index } of places) await rot.tokensAt(index)
    const { findings, report } = await online(cache, true)
    expect(findings.map(({ kind }) => kind)).toEqual(places.map(() => 'tokens'))
    expect(report.removedRecords).toBe(0)
    expect((await online(cache)).findings).toEqual([])
    expect(await serveAfterRestart(close)).toMatchObject({ restored: long.length - 1 })
  })

  it('is cut where the RAM has no right copy, and nowhere else', async () => {
    const { cache, close, rot } = await openRotting()
    const third = [...cache.index.blocks()].find(({ index }) => index === 2)
    const extent = third && recordOf(third, 'kv')?.extent
    if (!extent) throw new Error('the third block has no copy in RAM')
    cache.arena.view(extent.offset, 16)[4] = 0xee
    await rot.tokensAt(2)
    await rot.lostAt(1)
    expect((await online(cache, true)).report.removedRecords).toBe(2)
    expect((await online(cache)).findings).toEqual([])
    expect(await serveAfterRestart(close)).toMatchObject({ restored: 2 * blockTokens })
  })
})

describe('slots that nobody has', () => {
  it('are a leak, unless an operation that is under way holds them; mending frees them', async () => {
    const format = { version: 1, slotBytes }
    const index = await openRecordIndex({ directory: directory.path, format, onWarning: () => {} })
    const slabFile = await openSlab({
      path: directory.slab,
      capacityBytes: 8 * mebibyte,
      stepBytes: 8 * mebibyte,
      freeDiskFloorBytes: 0,
      readsInFlight: 1,
      writesInFlight: 1,
    })
    const lost = await slabFile.allocate(3)
    const held = await slabFile.allocate(2)
    const tier = {
      index,
      slab: slabFile,
      entries: new Map(),
      heldRuns: new Set([held]),
      holds: () => false,
      settled: async () => {},
      quarantine: async () => {},
    }
    const options = { hash64: (bytes: Uint8Array) => h64Raw(bytes), turn: async () => {} }
    const found = []
    for await (const { finding } of examineLive(tier, options)) if (finding) found.push(finding)
    expect(found).toMatchObject([{ kind: 'leak', what: expect.stringMatching(/^3 slots/) }])
    expect(slabFile.usedBytes).toBe(5 * mebibyte)
    await found[0]?.mend()
    expect(slabFile.usedBytes).toBe(2 * mebibyte)
    expect(lost.length).toBeGreaterThan(0)
    await slabFile.close()
    await index.close()
  })
})

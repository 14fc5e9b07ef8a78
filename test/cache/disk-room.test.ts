import { statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { fileIo } from '../../cache/tiers/slab-file.ts'
import type { SsdTierOptions } from '../../cache/tiers/ssd.ts'
import { mebibyte, openToyCache } from '../support/open-toy-cache.ts'
import { makeDirectory, openTestTier } from '../support/stored-records.ts'
import { beginLease, serveToy, tokensOf } from '../support/toy-engine.ts'

const chatOf = (chat: number) => tokensOf([chat * 1_000_000, 4096])

const cleanUps: (() => void)[] = []
afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp()
})

const floorBytes = 64 * mebibyte
/** A sixteenth of the floor. */
const writeFloorBytes = 4 * mebibyte

/** A cache on a disk that others fill and leave. */
async function open(tier: Partial<SsdTierOptions> = {}) {
  const directory = makeDirectory()
  cleanUps.push(() => directory.remove())
  const disk = { freeBytes: 1024 * mebibyte, takesWrites: true }
  const full = () => Promise.reject(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }))
  const ssd = await openTestTier(directory.path, {
    capacityBytes: 64 * mebibyte,
    freeDiskFloorBytes: floorBytes,
    ...tier,
    io: {
      freeBytes: async () => disk.freeBytes,
      extend: (fd, fromBytes, byBytes) => {
        disk.freeBytes -= byBytes
        return fileIo.extend(fd, fromBytes, byBytes)
      },
      write: (...given) => (disk.takesWrites ? fileIo.write(...given) : full()),
    },
  })
  const opened = openToyCache({ ssd, ramBlocks: 128 })
  const { cache } = opened
  const serve = async (chat: number) => {
    const served = await serveToy(cache, chatOf(chat))
    await cache.flush()
    return served.savedTokens
  }
  const look = async (freeBytes: number) => {
    disk.freeBytes = freeBytes
    await cache.disk?.look()
    return cache.disk?.usage.state
  }
  const onSsd = (chat: number) => {
    const lease = beginLease(cache, chatOf(chat))
    const { end } = lease
    lease.release()
    return end?.records.every((record) => record.ssd === 'stored') === true
  }
  const fileBytes = () => statSync(join(directory.path, 'spill.slab')).size
  return { ...opened, ssd, disk, serve, look, onSsd, fileBytes }
}

describe('a disk that others fill', () => {
  it('keeps the slab as long as it is, and lets it grow when there is a step more', async () => {
    const { cache, warnings, serve, look, onSsd, fileBytes } = await open()
    await serve(1)
    expect(await look(floorBytes - 1)).toBe('no_growth')
    const lengthBytes = fileBytes()
    for (const chat of [2, 3, 4]) expect(await serve(chat)).toBe(4096)
    expect(fileBytes()).toBe(lengthBytes)
    expect(onSsd(4)).toBe(true)
    expect(cache.counters).toMatchObject({ failedWrites: 0, refusedWrites: 0 })
    expect(warnings).toEqual([
      expect.stringMatching(/has 63 MiB free: .* grows no further.* with 68 MiB$/),
    ])

    expect(await look(floorBytes + 4 * mebibyte - 1)).toBe('no_growth')
    expect(await look(floorBytes + 4 * mebibyte)).toBe('enough')
    await serve(5)
    expect(fileBytes()).toBe(lengthBytes + 4 * mebibyte)
    expect(warnings).toEqual([expect.anything(), expect.stringContaining('grows as before')])
    await cache.close()
  })

  it('is made room for in the slab as it is, also before anybody has looked', async () => {
    const { cache, warnings, disk, serve, onSsd, fileBytes } = await open()
    for (const chat of [1, 2, 3]) await serve(chat)
    const lengthBytes = fileBytes()
    disk.freeBytes = floorBytes
    expect(await serve(4)).toBe(4096)
    expect([onSsd(1), onSsd(4)]).toEqual([false, true])
    expect(fileBytes()).toBe(lengthBytes)
    expect(cache.counters).toMatchObject({ failedWrites: 0, refusedWrites: 0 })
    expect(warnings).toEqual([])
    await cache.close()
  })

  it('lets it grow by what there is, where that is far less than a step', async () => {
    const { serve, look, disk, fileBytes } = await open({ stepBytes: 32 * mebibyte })
    disk.freeBytes = floorBytes + 6 * mebibyte
    await serve(1)
    const lengthBytes = fileBytes()
    expect(lengthBytes).toBe(6 * mebibyte)
    expect(await look(floorBytes - 1)).toBe('no_growth')
    expect(await look(floorBytes + 7 * mebibyte)).toBe('enough')
    for (const chat of [2, 3, 4]) await serve(chat)
    expect(fileBytes()).toBe(lengthBytes + 7 * mebibyte)
  })

  it('is written nothing when it is nearly full, and all that has waited when it is not', async () => {
    const { cache, warnings, ssd, serve, look, onSsd } = await open()
    await serve(1)
    const { writtenBytes } = ssd.usage()
    expect(await look(writeFloorBytes - 1)).toBe('no_writes')
    // Nobody is told that it is safe; it is restored from RAM all the same.
    expect(await serve(2)).toBe(0)
    expect((await serveToy(cache, chatOf(2))).restored).toBe(4095)
    expect((await serveToy(cache, chatOf(1))).restored).toBe(4095)
    expect(ssd.usage().writtenBytes).toBe(writtenBytes)
    expect(warnings).toEqual([
      expect.stringMatching(/nothing is written to the SSD tier.* by itself with 8 MiB/),
    ])

    expect(await look(2 * writeFloorBytes - 1)).toBe('no_writes')
    expect(onSsd(2)).toBe(false)
    expect(await look(1024 * mebibyte)).toBe('enough')
    await cache.flush()
    expect(onSsd(2)).toBe(true)
    expect(cache.counters).toMatchObject({ failedWrites: 0, refusedWrites: 0 })
    expect(warnings).toHaveLength(2)
    await cache.close()
  })

  it('is believed when it refuses a write, and tried again after a while', async () => {
    const { cache, disk, serve, look, onSsd } = await open()
    disk.takesWrites = false
    expect(await serve(1)).toBe(0)
    const failed = cache.counters.failedWrites
    expect(failed).toBeGreaterThan(0)
    expect(cache.counters.refusedWrites).toBe(0)
    expect(await serve(2)).toBe(0)
    expect(cache.counters.failedWrites).toBe(failed)
    expect(await look(disk.freeBytes)).toBe('no_writes')
    disk.takesWrites = true
    // What is free does not change: a quota was in the way.
    for (let looks = 0; looks < 60; looks++) await look(disk.freeBytes)
    expect(cache.disk?.usage.state).toBe('enough')
    await cache.flush()
    expect([onSsd(1), onSsd(2)]).toEqual([true, true])
    await cache.close()
  })

  it('does not matter where the slab is as long as it may be', async () => {
    const { cache, serve, look } = await open()
    for (let chat = 1; chat <= 16; chat++) await serve(chat)
    expect(await look(floorBytes - 1)).toBe('enough')
    await cache.close()
  })
})

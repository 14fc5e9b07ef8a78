import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openSlab, type Slab, type SlabOptions } from '../../cache/tiers/slab.ts'
import { fileIo, type SlabIo } from '../../cache/tiers/slab-file.ts'
import { createSlotMap, type SlotRun } from '../../cache/tiers/slots.ts'
import { alignedBytes, MiB, makeDirectory } from '../support/stored-records.ts'

let directory: ReturnType<typeof makeDirectory>
let path: string
const opened: Slab[] = []

beforeEach(() => {
  directory = makeDirectory()
  path = join(directory.path, 'spill.slab')
})

afterEach(async () => {
  await Promise.all(opened.splice(0).map((slab) => slab.close()))
  directory.remove()
})

async function open(options: Partial<SlabOptions> = {}): Promise<Slab> {
  const slab = await openSlab({
    path,
    capacityBytes: 12 * MiB,
    stepBytes: 4 * MiB,
    freeDiskFloorBytes: 0,
    readsInFlight: 4,
    writesInFlight: 4,
    ...options,
  })
  opened.push(slab)
  return slab
}

function patterned(sizeBytes: number, salt: number): Uint8Array {
  const bytes = alignedBytes(sizeBytes)
  const words = new Uint32Array(bytes.buffer, 0, sizeBytes / 4)
  for (let i = 0; i < words.length; i++) words[i] = i * 2654435761 + salt
  return bytes
}

const failing = (code: string) => Promise.reject(Object.assign(new Error(code), { code }))
const ignorePieces = () => {}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 1))
}

describe('a slab', () => {
  test('gives back what was written, also when its slots are not adjacent', async () => {
    const slab = await open()
    await slab.allocate(12)
    const bytes = patterned(2 * MiB + 8192, 1)
    const scattered = [
      { first: 10, count: 1 },
      { first: 0, count: 2 },
    ]
    await slab.write(scattered, bytes)
    const found = alignedBytes(bytes.length)
    await slab.read(scattered, found, ignorePieces)
    expect(Buffer.compare(found, bytes)).toBe(0)
  })

  test('announces each piece once it has arrived, cut at whole MiB', async () => {
    const slab = await open()
    const runs = await slab.allocate(9)
    const bytes = patterned(8 * MiB + 4096, 2)
    await slab.write(runs, bytes)
    const found = alignedBytes(bytes.length)
    const pieces: [number, number][] = []
    await slab.read(runs, found, (from, to) => {
      expect(Buffer.compare(found.subarray(from, to), bytes.subarray(from, to))).toBe(0)
      pieces.push([from, to])
    })
    pieces.sort((a, b) => a[0] - b[0])
    expect(pieces.map(([from]) => from % MiB)).toEqual(pieces.map(() => 0))
    expect(pieces.map(([from]) => from)).toEqual([0, ...pieces.slice(0, -1).map(([, to]) => to)])
    expect(pieces.at(-1)?.[1]).toBe(bytes.length)
  })

  test('grows in steps up to its capacity and then is full', async () => {
    const slab = await open()
    expect(statSync(path).size).toBe(0)
    await slab.allocate(1)
    expect(statSync(path).size).toBe(4 * MiB)
    await slab.allocate(11)
    expect(statSync(path).size).toBe(12 * MiB)
    expect(slab.usedBytes).toBe(slab.capacityBytes)
    await expect(slab.allocate(1)).rejects.toMatchObject({ code: 'PREFIXD_E_CACHE_FULL' })
  })

  test('grows once for requests that come together', async () => {
    const slab = await open()
    const runs = await Promise.all([1, 2, 3, 4].map(() => slab.allocate(3)))
    const slots = runs
      .flat()
      .flatMap(({ first, count }) => [...Array(count).keys()].map((i) => first + i))
    expect(new Set(slots).size).toBe(12)
    expect(statSync(path).size).toBe(12 * MiB)
  })

  test('takes less than a step, or nothing, where the disk has to keep its floor', async () => {
    let freeDisk = 6 * MiB
    const slab = await open({
      freeDiskFloorBytes: 4 * MiB,
      io: { freeBytes: async () => freeDisk },
    })
    await slab.allocate(1)
    expect(statSync(path).size).toBe(2 * MiB)
    freeDisk = 4 * MiB
    await slab.allocate(1)
    await expect(slab.allocate(1)).rejects.toMatchObject({
      code: 'PREFIXD_E_CACHE_FULL',
      message: expect.stringContaining('are needed, and the disk has none for it to grow'),
    })
    expect(slab.capacityBytes).toBe(2 * MiB)
    freeDisk = 20 * MiB
    await slab.allocate(1)
    expect(slab.capacityBytes).toBe(12 * MiB)
  })

  test('cuts a file that is longer than the capacity behind the last slot that is claimed', async () => {
    writeFileSync(path, Buffer.alloc(20 * MiB))
    const slab = await open()
    expect(slab.claim([{ first: 15, count: 1 }])).toBe(true)
    expect(slab.claim([{ first: 20, count: 1 }])).toBe(false)
    expect([slab.usedBytes, slab.capacityBytes]).toEqual([MiB, 12 * MiB])
    slab.resize(12 * MiB)
    await until(() => slab.fileBytes === 16 * MiB)
    slab.release([{ first: 15, count: 1 }])
    await until(() => slab.fileBytes === 12 * MiB)
    expect(statSync(path).size).toBe(12 * MiB)
  })

  test('gets shorter as its end is free, in steps, and grows again', async () => {
    const slab = await open()
    const runs = await Promise.all([...Array(12)].map(() => slab.allocate(1)))
    slab.resize(3 * MiB)
    expect(slab.freeBytes).toBe(-9 * MiB)
    await expect(slab.allocate(1)).rejects.toMatchObject({ code: 'PREFIXD_E_CACHE_FULL' })
    for (const at of [11, 10, 9]) slab.release(runs[at] as SlotRun[])
    // A step of 4 MiB is not free yet.
    expect(statSync(path).size).toBe(12 * MiB)
    slab.release(runs[8] as SlotRun[])
    await until(() => slab.fileBytes === 8 * MiB)
    slab.release(runs[0] as SlotRun[])
    expect(slab.isBehind(runs[7] as SlotRun[])).toBe(true)
    const [moved] = await slab.allocate(1)
    expect(moved).toEqual({ first: 0, count: 1 })
    for (const at of [7, 6, 5, 4, 3]) slab.release(runs[at] as SlotRun[])
    await until(() => slab.fileBytes === 3 * MiB)
    expect(statSync(path).size).toBe(3 * MiB)
    expect([slab.usedBytes, slab.capacityBytes, slab.freeBytes]).toEqual([3 * MiB, 3 * MiB, 0])
    slab.resize(20 * MiB)
    await slab.allocate(17)
    expect(statSync(path).size).toBe(20 * MiB)
  })

  test('adds nothing to a file that was made smaller while it grew', async () => {
    let extended = () => {}
    const gate = new Promise<void>((resolve) => {
      extended = resolve
    })
    const io: Partial<SlabIo> = {
      extend: async (...given) => {
        await gate
        await fileIo.extend(...given)
      },
    }
    const slab = await open({ io, stepBytes: 8 * MiB })
    const allocating = slab.allocate(2)
    await new Promise((resolve) => setTimeout(resolve, 10))
    slab.resize(4 * MiB)
    extended()
    await allocating
    await until(() => slab.fileBytes === 4 * MiB)
    expect(statSync(path).size).toBe(4 * MiB)
    expect(slab.freeBytes).toBe(2 * MiB)
  })

  test('grows only when the end of its file has left, and is closed only then', async () => {
    let shortened = () => {}
    const gate = new Promise<void>((resolve) => {
      shortened = resolve
    })
    const io: Partial<SlabIo> = {
      shorten: async (...given) => {
        await gate
        await fileIo.shorten(...given)
      },
    }
    const slab = await open({ io })
    slab.release(await slab.allocate(12))
    slab.resize(4 * MiB)
    slab.resize(12 * MiB)
    const allocating = slab.allocate(12)
    await new Promise((resolve) => setTimeout(resolve, 10))
    expect(statSync(path).size).toBe(12 * MiB)
    shortened()
    const runs = await allocating
    expect(statSync(path).size).toBe(12 * MiB)
    const bytes = patterned(12 * MiB, 3)
    await slab.write(runs, bytes)
    const found = alignedBytes(bytes.length)
    await slab.read(runs, found, ignorePieces)
    expect(Buffer.compare(found, bytes)).toBe(0)
  })

  test('never has more operations under way than its limits', async () => {
    const limits = { readsInFlight: 2, writesInFlight: 3 }
    const now = { read: 0, write: 0 }
    const most = { read: 0, write: 0 }
    const counted = async (kind: 'read' | 'write', operation: () => Promise<number>) => {
      now[kind] += 1
      most[kind] = Math.max(most[kind], now[kind])
      try {
        return await operation()
      } finally {
        now[kind] -= 1
      }
    }
    const io: Partial<SlabIo> = {
      read: (...given) => counted('read', () => fileIo.read(...given)),
      write: (...given) => counted('write', () => fileIo.write(...given)),
    }
    const slab = await open({ ...limits, io })
    const all = await Promise.all([...Array(12)].map(() => slab.allocate(1)))
    await Promise.all(all.map((runs, i) => slab.write(runs, patterned(MiB, i))))
    await Promise.all(all.map((runs) => slab.read(runs, alignedBytes(MiB), ignorePieces)))
    expect(most).toEqual({ read: 2, write: 3 })
  })

  test('finishes short transfers instead of losing their rest', async () => {
    const io: Partial<SlabIo> = {
      read: (fd, into, at) => fileIo.read(fd, into.subarray(0, 64 * 1024), at),
      write: (fd, bytes, at) => fileIo.write(fd, bytes.subarray(0, 128 * 1024), at),
    }
    const slab = await open({ io })
    const runs = await slab.allocate(2)
    const bytes = patterned(2 * MiB, 4)
    await slab.write(runs, bytes)
    const found = alignedBytes(bytes.length)
    await slab.read(runs, found, ignorePieces)
    expect(Buffer.compare(found, bytes)).toBe(0)
  })

  test('calls bytes behind the end of the file corrupt', async () => {
    const slab = await open()
    const runs = await slab.allocate(3)
    await slab.write(runs, patterned(3 * MiB, 5))
    truncateSync(path, 2 * MiB + 100)
    const found = alignedBytes(3 * MiB)
    await expect(slab.read(runs, found, ignorePieces)).rejects.toMatchObject({
      code: 'PREFIXD_E_CACHE_CORRUPT',
    })
  })

  test.each([
    ['ENOSPC', 'PREFIXD_E_CACHE_FULL'],
    ['EDQUOT', 'PREFIXD_E_CACHE_FULL'],
    ['EIO', 'PREFIXD_E_CACHE_IO'],
  ])('turns %s of a write into %s', async (errno, code) => {
    const slab = await open({ io: { read: fileIo.read, write: () => failing(errno) } })
    const runs = await slab.allocate(1)
    await expect(slab.write(runs, patterned(MiB, 6))).rejects.toMatchObject({ code })
  })

  test('tries other slots after a write failed, before it comes back to the same', async () => {
    const slab = await open({ io: { read: fileIo.read, write: () => failing('EIO') } })
    const runs = await slab.allocate(1)
    await expect(slab.write(runs, patterned(MiB, 7))).rejects.toThrow('EIO')
    slab.release(runs)
    expect(await slab.allocate(1)).toEqual([{ first: 1, count: 1 }])
    expect(await slab.allocate(2)).toEqual([{ first: 2, count: 2 }])
    await slab.allocate(8)
    expect(await slab.allocate(1)).toEqual([{ first: 0, count: 1 }])
  })

  test('reports EIO of a read, and touches the view no more afterwards', async () => {
    let calls = 0
    const io: Partial<SlabIo> = {
      read: (...given) => (++calls === 2 ? failing('EIO') : fileIo.read(...given)),
      write: fileIo.write,
    }
    const slab = await open({ io, readsInFlight: 1 })
    const runs = await slab.allocate(12)
    await expect(slab.read(runs, alignedBytes(12 * MiB), ignorePieces)).rejects.toMatchObject({
      code: 'PREFIXD_E_CACHE_IO',
    })
    expect(calls).toBe(2)
  })

  test('refuses views that O_DIRECT could not take', async () => {
    const slab = await open()
    const runs = await slab.allocate(1)
    const bytes = alignedBytes(2 * MiB)
    await expect(slab.write(runs, bytes.subarray(1, 4097))).rejects.toThrow(RangeError)
    await expect(slab.write(runs, bytes.subarray(0, 100))).rejects.toThrow(RangeError)
    await expect(slab.write(runs, bytes)).rejects.toThrow(RangeError)
  })

  test('keeps neighbours apart on the disk', async () => {
    const slab = await open()
    const [left, right] = await Promise.all([slab.allocate(1), slab.allocate(1)])
    const bytes = [patterned(MiB, 8), patterned(MiB, 9)] as const
    await Promise.all([slab.write(left, bytes[0]), slab.write(right, bytes[1])])
    const file = readFileSync(path)
    expect(Buffer.compare(file.subarray(0, MiB), bytes[0])).toBe(0)
    expect(Buffer.compare(file.subarray(MiB, 2 * MiB), bytes[1])).toBe(0)
  })

  test('says what to do when its file cannot be opened', async () => {
    path = directory.path
    await expect(open()).rejects.toMatchObject({
      code: 'PREFIXD_E_CACHE_DIRECTORY',
      message: expect.stringContaining('--dir'),
    })
  })
})

describe('the slot map', () => {
  test('takes the lowest adjacent slots, and separate ones only where it must', () => {
    const slots = createSlotMap(10)
    slots.grow(10)
    expect(slots.allocate(10, 0)).toEqual([{ first: 0, count: 10 }])
    slots.release([
      { first: 1, count: 1 },
      { first: 3, count: 2 },
      { first: 7, count: 2 },
    ])
    expect(slots.allocate(2, 0)).toEqual([{ first: 3, count: 2 }])
    expect(slots.allocate(3, 0)).toEqual([
      { first: 1, count: 1 },
      { first: 7, count: 2 },
    ])
    expect(slots.allocate(1, 0)).toBeNull()
  })

  test('claims all runs of a record or none', () => {
    const slots = createSlotMap(8)
    slots.grow(4)
    expect(slots.claim([{ first: 0, count: 2 }])).toBe(true)
    for (const bad of [
      { first: 1, count: 1 },
      { first: 3, count: 2 },
      { first: 2, count: 0 },
    ]) {
      expect(slots.claim([{ first: 2, count: 1 }, bad])).toBe(false)
    }
    expect(slots.used).toBe(2)
    expect(() => slots.release([{ first: 2, count: 1 }])).toThrow('not taken')
  })

  test('no slot ever has two owners, and none is lost', () => {
    const step = fc.record({
      take: fc.integer({ min: 1, max: 6 }),
      drop: fc.nat(),
      from: fc.nat(40),
      capacity: fc.integer({ min: 1, max: 48 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (script) => {
        const slots = createSlotMap(32)
        slots.grow(32)
        const live: (readonly SlotRun[])[] = []
        for (const { take, drop, from, capacity } of script) {
          slots.limit(capacity)
          if (slots.size > slots.neededSize) slots.cut(slots.neededSize)
          if (slots.size < capacity) slots.grow(capacity - slots.size)
          const freeBefore = slots.free
          const runs = slots.allocate(take, from)
          expect(runs === null).toBe(freeBefore < take)
          if (runs !== null) {
            live.push(runs)
            expect(slots.isBehind(runs)).toBe(false)
          } else if (live.length > 0)
            slots.release(live.splice(drop % live.length, 1)[0] as SlotRun[])
          const owned = live
            .flat()
            .flatMap(({ first, count }) => [...Array(count).keys()].map((i) => first + i))
          expect(new Set(owned).size).toBe(owned.length)
          expect(slots.used).toBe(owned.length)
          const within = owned.filter((slot) => slot < capacity).length
          expect(slots.free).toBe(Math.min(slots.size, capacity) - within)
        }
      }),
    )
  })
})

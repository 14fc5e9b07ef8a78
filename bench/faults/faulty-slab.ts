/**
 * A slab file in memory, on a disk that fails: writes that are torn or never happen, bits that
 * flip, errors, a full file system, and answers in any order. It survives the service's death as a
 * disk would: what was answered is there, of what was under way some sectors are. When the power
 * fails, some sectors of the last writes are gone too, since nobody has synced them.
 */

import { slotBytes } from '../../cache/tiers/slab.ts'
import { ioUnitBytes, type SlabIo } from '../../cache/tiers/slab-file.ts'
import type { SlotRun } from '../../cache/tiers/slots.ts'
import type { Random } from '../random.ts'
import type { Journal } from './journal.ts'
import type { VirtualClock } from './virtual-clock.ts'

/** Parts of all operations, from 0 to 1. */
export interface DiskFaults {
  isFull: boolean
  failedReads: number
  failedWrites: number
  /** Writes that are answered as done, and of which sectors are missing. */
  lyingWrites: number
  /** Operations that take seconds. */
  stalls: number
}

export const noFaults: Readonly<DiskFaults> = {
  isFull: false,
  failedReads: 0,
  failedWrites: 0,
  lyingWrites: 0,
  stalls: 0,
}

export interface FaultySlabOptions {
  readonly clock: VirtualClock
  readonly random: Random
  readonly journal: Journal
  readonly faults: DiskFaults
  readonly maxBytes: number
  /** The durable record that has this slot; its bytes must not be written. */
  readonly ownerOf: (slot: number) => string | null
  /** Bytes of a durable record are wrong from now on. */
  readonly onDamage: (owner: string) => void
}

export interface FaultySlab {
  readonly io: SlabIo
  readonly sizeBytes: number
  isRunDamaged(run: SlotRun): boolean
  /** Flips one bit of this byte of a record. */
  flipBit(runs: readonly SlotRun[], byteIndex: number): void
  /** The process dies; writes that are under way reach the disk in part. */
  die(powerFails: boolean): void
}

interface Write {
  readonly position: number
  readonly bytes: Uint8Array
  /** What stood there, to be brought back where the power fails. */
  before: Uint8Array
  atMs: number
}

/** Unsynced writes are on the disk for good after this time, as the kernel sees to it. */
const syncedAfterMs = 30_000
const errorOf = (code: string): Error => Object.assign(new Error(`${code}: injected`), { code })

export function createFaultySlab(options: FaultySlabOptions): FaultySlab {
  const { clock, random, journal, faults } = options
  const content = new Uint8Array(options.maxBytes)
  const damaged = new Set<number>()
  const underWay = new Set<Write>()
  let unsynced: Write[] = []
  let sizeBytes = 0

  const happens = (part: number): boolean => part > 0 && random.next() < part
  const latencyMs = (): number =>
    happens(faults.stalls) ? random.integer(100, 4_000) : random.next() * 3

  const markDamaged = (sector: number): void => {
    damaged.add(sector)
    const owner = options.ownerOf(Math.floor((sector * ioUnitBytes) / slotBytes))
    if (owner !== null) options.onDamage(owner)
  }

  /** Puts these sectors of a write on the disk; the others stay as they were. */
  function put({ position, bytes }: Write, reaches: (at: number) => boolean): void {
    for (let at = 0; at < bytes.length; at += ioUnitBytes) {
      if (!reaches(at)) continue
      content.set(bytes.subarray(at, at + ioUnitBytes), position + at)
      damaged.delete((position + at) / ioUnitBytes)
    }
  }

  function complete(write: Write): void {
    write.before = content.slice(write.position, write.position + write.bytes.length)
    write.atMs = clock.nowMs
    if (!happens(faults.lyingWrites)) put(write, () => true)
    else {
      const keptTo = random.integer(0, write.bytes.length - 1)
      const isPrefix = random.next() < 0.5
      journal.note(`a write at ${write.position} lies`)
      put(write, (at) => (isPrefix ? at < keptTo : random.next() < 0.5))
      for (let at = 0; at < write.bytes.length; at += ioUnitBytes) {
        const found = content.subarray(write.position + at, write.position + at + ioUnitBytes)
        const isRight = Buffer.compare(found, write.bytes.subarray(at, at + ioUnitBytes)) === 0
        if (!isRight) markDamaged((write.position + at) / ioUnitBytes)
      }
    }
    unsynced = unsynced.filter(({ atMs }) => clock.nowMs - atMs < syncedAfterMs)
    unsynced.push(write)
  }

  function checkPlace(position: number, length: number, what: string): void {
    if (position % ioUnitBytes !== 0 || length % ioUnitBytes !== 0) {
      journal.broken(`${what} at ${position} of ${length} bytes is not aligned`)
    }
    if (what === 'read') return
    if (position + length > sizeBytes) journal.broken(`${what} behind the end of the slab`)
    const last = Math.floor((position + length - 1) / slotBytes)
    for (let slot = Math.floor(position / slotBytes); slot <= last; slot += 1) {
      const owner = options.ownerOf(slot)
      if (owner !== null) journal.broken(`${what} into slot ${slot}, where ${owner} lies`)
    }
  }

  const io: SlabIo = {
    async open() {
      await clock.pass(latencyMs())
      return { fd: 0, directIo: true }
    },
    sizeOf: () => sizeBytes,
    truncate(_fd, toBytes) {
      sizeBytes = toBytes
    },
    async shorten(_fd, toBytes) {
      await clock.pass(latencyMs())
      sizeBytes = toBytes
    },
    async extend(_fd, fromBytes, byBytes) {
      await clock.pass(latencyMs())
      if (fromBytes !== sizeBytes) journal.broken('the slab grows from where it does not end')
      if (fromBytes + byBytes > options.maxBytes) journal.broken('the slab outgrows its budget')
      if (faults.isFull) throw errorOf('ENOSPC')
      sizeBytes += byBytes
    },
    async freeBytes() {
      await clock.pass(latencyMs())
      // Another process takes the room between this answer and the growing, sometimes.
      return faults.isFull && random.next() < 0.5 ? 0 : 2 ** 40 + clock.nowMs
    },
    async read(_fd, into, position) {
      checkPlace(position, into.length, 'read')
      await clock.pass(latencyMs())
      if (happens(faults.failedReads)) throw errorOf('EIO')
      const isShort = into.length > ioUnitBytes && random.next() < 0.02
      const wanted = isShort ? ioUnitBytes : into.length
      const count = Math.max(0, Math.min(wanted, sizeBytes - position))
      into.set(content.subarray(position, position + count))
      return count
    },
    async write(_fd, bytes, position) {
      checkPlace(position, bytes.length, 'write')
      const write: Write = { position, bytes, before: bytes, atMs: 0 }
      underWay.add(write)
      await clock.pass(latencyMs())
      underWay.delete(write)
      if (happens(faults.failedWrites) || (faults.isFull && random.next() < 0.3)) {
        put(write, () => random.next() < 0.5)
        throw errorOf(faults.isFull ? 'ENOSPC' : 'EIO')
      }
      const isShort = bytes.length > ioUnitBytes && random.next() < 0.02
      complete(isShort ? { ...write, bytes: bytes.subarray(0, ioUnitBytes) } : write)
      return isShort ? ioUnitBytes : bytes.length
    },
    close: () => clock.pass(latencyMs()),
  }

  return {
    io,
    get sizeBytes() {
      return sizeBytes
    },
    isRunDamaged({ first, count }) {
      const perSlot = slotBytes / ioUnitBytes
      for (let sector = first * perSlot; sector < (first + count) * perSlot; sector += 1) {
        if (damaged.has(sector)) return true
      }
      return false
    },
    flipBit(runs, byteIndex) {
      const slots = runs.flatMap(({ first, count }) =>
        [...Array(count).keys()].map((i) => first + i),
      )
      const slot = slots[Math.floor(byteIndex / slotBytes)] as number
      const at = slot * slotBytes + (byteIndex % slotBytes)
      content[at] = (content[at] as number) ^ (1 << random.integer(0, 7))
      markDamaged(Math.floor(at / ioUnitBytes))
    },
    die(powerFails) {
      for (const write of underWay) put(write, () => random.next() < 0.5)
      underWay.clear()
      if (powerFails) {
        for (const { position, before, atMs } of unsynced.reverse()) {
          if (clock.nowMs - atMs > syncedAfterMs) continue
          for (let at = 0; at < before.length; at += ioUnitBytes) {
            if (random.next() < 0.7) continue
            content.set(before.subarray(at, at + ioUnitBytes), position + at)
            markDamaged((position + at) / ioUnitBytes)
          }
        }
      }
      unsynced = []
    },
  }
}

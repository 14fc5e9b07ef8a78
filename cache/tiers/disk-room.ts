/**
 * Whether the file system has room for the SSD tier, others being at it too. With little room the
 * slab does not grow, and with nearly none nothing is written: LMDB needs some for every commit.
 * What the disk has refused is asked for again when it has a little more, or after a while: a quota
 * does not show in what is free. Nobody waits for a whole step: the slab grows by what there is.
 */
import type { DiskUsage } from '../types.ts'

export interface DiskRoomOptions {
  readonly freeBytes: () => Promise<number>
  /** Free bytes that are left to others. */
  readonly floorBytes: number
  /** The slab grows in steps of this. */
  readonly stepBytes: number
}

export interface DiskRoom {
  /** True while the disk, not the limit, keeps the slab from growing. */
  readonly isShort: boolean
  /** True while nothing is to be written. */
  readonly isFull: boolean
  /** When it was last looked at; null: never. */
  readonly freeBytes: number | null
  /** Free bytes with which the slab grows again, and with which it is written again. */
  readonly growsAgainAtBytes: number
  readonly writesAgainAtBytes: number
  /** Looks at the disk. Rejects as the system does. */
  look(): Promise<void>
  /** Bytes that the slab may take now; 0 while the disk has no more than when it refused. */
  spareBytes(): Promise<number>
  refuseGrowth(): void
  allowGrowth(): void
  refuseWrites(): void
}

/** Of the floor: with less nothing is written, and with twice as much it goes on. */
const writeFloorShare = 1 / 16
/**
 * Over the floor, or a step where that is less: with so much the slab grows again. It keeps the
 * slab from growing and stopping in turns.
 */
const growthSlackBytes = 4 * 1024 * 1024
/** Looks after which what was refused is tried again all the same. */
const looksUntilRetry = 60

interface Refusal {
  readonly atFreeBytes: number
  looks: number
}

export function createDiskRoom({ freeBytes, floorBytes, stepBytes }: DiskRoomOptions): DiskRoom {
  const writeFloorBytes = floorBytes * writeFloorShare
  const writesAgainAtBytes = 2 * writeFloorBytes
  const growsAgainAtBytes = floorBytes + Math.min(stepBytes, growthSlackBytes)
  let knownBytes: number | null = null
  let noGrowth: Refusal | null = null
  let noWrites: Refusal | null = null

  const refusal = (): Refusal => ({ atFreeBytes: knownBytes ?? 0, looks: 0 })

  /** Has the disk so much, and more than when it refused, or was it long ago? */
  function isOver(refused: Refusal, freeNow: number, wantedBytes: number): boolean {
    refused.looks++
    if (freeNow < wantedBytes) return false
    return freeNow > refused.atFreeBytes || refused.looks >= looksUntilRetry
  }

  async function look(): Promise<number> {
    const freeNow = await freeBytes()
    knownBytes = freeNow
    if (noWrites !== null && isOver(noWrites, freeNow, writesAgainAtBytes)) noWrites = null
    else if (freeNow < writeFloorBytes) noWrites ??= refusal()
    if (noGrowth !== null && isOver(noGrowth, freeNow, growsAgainAtBytes)) noGrowth = null
    else if (freeNow < floorBytes) noGrowth ??= refusal()
    return freeNow
  }

  return {
    get isShort() {
      return noGrowth !== null
    },
    get isFull() {
      return noWrites !== null
    },
    get freeBytes() {
      return knownBytes
    },
    growsAgainAtBytes,
    writesAgainAtBytes,
    async look() {
      await look()
    },
    async spareBytes() {
      const freeNow = await freeBytes()
      knownBytes = freeNow
      if (noGrowth !== null && freeNow <= noGrowth.atFreeBytes) return 0
      return Math.max(0, freeNow - floorBytes)
    },
    refuseGrowth() {
      // Who asks again before its time is refused again, and does not put that off.
      noGrowth = { ...refusal(), looks: noGrowth?.looks ?? 0 }
    },
    allowGrowth() {
      noGrowth = null
    },
    refuseWrites() {
      noWrites ??= refusal()
    },
  }
}

/** As people are told. A slab that is as long as it may be wants no more room. */
export function diskUsage(room: DiskRoom, isWhole: boolean): DiskUsage {
  const { freeBytes, writesAgainAtBytes, growsAgainAtBytes } = room
  if (room.isFull) return { state: 'no_writes', freeBytes, resumesAtBytes: writesAgainAtBytes }
  if (!room.isShort || isWhole) return { state: 'enough', freeBytes, resumesAtBytes: null }
  return { state: 'no_growth', freeBytes, resumesAtBytes: growsAgainAtBytes }
}

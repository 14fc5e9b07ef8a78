/**
 * The SSD tier's bytes: one file of 1 MiB slots, written from and read into arena memory without a
 * copy in between, a few operations at once. Which record lives in which slots is not known here.
 */
import { dirname } from 'node:path'
import { CacheError } from '../errors.ts'
import { createDiskRoom, type DiskRoom } from './disk-room.ts'
import { createInFlight, type InFlight } from './in-flight.ts'
import {
  cannotUse,
  createGrowth,
  fileIo,
  ioUnitBytes,
  isNoSpace,
  type SlabIo,
} from './slab-file.ts'
import { createSlotMap, type SlotMap, type SlotRun } from './slots.ts'

export const slotBytes = 1024 * 1024

export interface SlabOptions {
  readonly path: string
  /**
   * The file never gets longer. What is claimed of a longer one stays until it is released, and its
   * free end is cut at the next `resize` or release. At least one slot.
   */
  readonly capacityBytes: number
  readonly stepBytes: number
  /** Free bytes of the file system that are left to others. */
  readonly freeDiskFloorBytes: number
  readonly readsInFlight: number
  readonly writesInFlight: number
  /** Nothing in the file is anybody's: it is emptied, so that nothing stays in it unseen. */
  readonly startsEmpty?: boolean
  /** Tests make faults here. */
  readonly io?: Partial<SlabIo> | undefined
}

export interface Slab {
  readonly directIo: boolean
  /** Of the file system that the file is on. */
  readonly room: DiskRoom
  /** What was asked for, in whole slots. */
  readonly budgetBytes: number
  /** What the file can hold: less than was asked for while the disk has no room for more. */
  readonly capacityBytes: number
  readonly usedBytes: number
  /** How long the file is. */
  readonly fileBytes: number
  /**
   * What nobody has, and nobody who waits for the file to grow will get. Negative where more is
   * used than may be.
   */
  readonly freeBytes: number
  /**
   * At least one slot. What is taken behind it stays until it is released; the file gets shorter as
   * its end is free, a step or all of it at once.
   */
  resize(capacityBytes: number): void
  /** Does one of these lie behind the capacity? */
  isBehind(runs: readonly SlotRun[]): boolean
  /** Marks the slots of a record found at open; false when they do not exist or are taken. */
  claim(runs: readonly SlotRun[]): boolean
  /** May grow the file. Rejects with `PREFIXD_E_CACHE_FULL`, or `_IO` when growing fails. */
  allocate(count: number): Promise<readonly SlotRun[]>
  release(runs: readonly SlotRun[]): void
  /** Every run of taken slots, rising. */
  taken(): Iterable<SlotRun>
  /**
   * `bytes` fill the runs in order; address and length are multiples of 4 KiB. No operation uses
   * them any more when this settles. Rejects with `PREFIXD_E_CACHE_FULL` or `PREFIXD_E_CACHE_IO`.
   */
  write(runs: readonly SlotRun[], bytes: Uint8Array): Promise<void>
  /**
   * Calls `onPiece(from, to)` for each piece of `into` as it arrives, in any order, cut at whole
   * MiB, and waits for it; an error that it throws or rejects with rejects the read. Rejects with
   * `PREFIXD_E_CACHE_CORRUPT` where the file ends too early, and with `PREFIXD_E_CACHE_IO`.
   */
  read(
    runs: readonly SlotRun[],
    into: Uint8Array,
    onPiece: (from: number, to: number) => Promise<void> | void,
  ): Promise<void>
  close(): Promise<void>
}

/** One operation moves at most this, so that a single record also keeps several in flight. */
const pieceBytes = 4 * slotBytes

/** Rejects with `PREFIXD_E_CACHE_DIRECTORY` when the file cannot be used. */
export async function openSlab(options: SlabOptions): Promise<Slab> {
  let capacitySlots = slotsIn(options.capacityBytes)
  const io = { ...fileIo, ...options.io }
  const { fd, directIo } = await io.open(options.path)
  let slots: SlotMap
  try {
    if (options.startsEmpty === true) io.truncate(fd, 0)
    // A slot that the end of the file cuts is counted: its record may be shorter than the slot.
    const fileSlots = Math.ceil(io.sizeOf(fd) / slotBytes)
    slots = createSlotMap(Math.max(fileSlots, capacitySlots))
    slots.grow(fileSlots)
    slots.limit(capacitySlots)
  } catch (cause) {
    await io.close(fd)
    throw cannotUse(options.path, cause)
  }
  const room = createDiskRoom({
    freeBytes: () => io.freeBytes(dirname(options.path)),
    floorBytes: options.freeDiskFloorBytes,
    stepBytes: options.stepBytes,
  })
  const growth = createGrowth({
    io,
    fd,
    room,
    sizeBytes: slots.size * slotBytes,
    maxBytes: capacitySlots * slotBytes,
    unitBytes: slotBytes,
    stepBytes: options.stepBytes,
  })
  let growing: Promise<number> | null = null
  /** Slots that were asked for and wait for the file to grow. */
  let awaitedSlots = 0
  /** Where the last failed write ended: the lowest free slots must not fail for ever. */
  let allocateFrom = 0

  /** Nothing grows while the end of the file leaves. */
  let cutting: Promise<void> | null = null

  /** True when it is worth looking again. One growth at a time; who comes later waits for it. */
  async function grow(count: number): Promise<boolean> {
    while (cutting !== null) await cutting
    if (growing !== null) return (await growing) > 0
    growing = growth.grow(count * slotBytes)
    try {
      await growing
      // The capacity may have become smaller meanwhile.
      const fileSlots = Math.min(capacitySlots, growth.sizeBytes / slotBytes)
      const addedSlots = Math.max(0, fileSlots - slots.size)
      slots.grow(addedSlots)
      return addedSlots > 0
    } finally {
      growing = null
      cutFreeEnd()
    }
  }

  /** In steps: each cut is a change of the file's metadata. */
  function cutFreeEnd(): void {
    if (growing !== null || cutting !== null) return
    const fileSlots = growth.sizeBytes / slotBytes
    if (fileSlots <= capacitySlots) return
    const { size, neededSize } = slots
    const isStep = (fileSlots - neededSize) * slotBytes >= options.stepBytes
    if (neededSize === fileSlots || (!isStep && neededSize > capacitySlots)) return
    if (neededSize < size) slots.cut(neededSize)
    cutting = growth.cut(neededSize * slotBytes).then((isCut) => {
      cutting = null
      // More may have become free meanwhile.
      if (isCut) cutFreeEnd()
    })
  }

  const capacityNow = () =>
    (room.isShort ? Math.min(slots.size, capacitySlots) : capacitySlots) * slotBytes

  return {
    directIo,
    room,
    get budgetBytes() {
      return capacitySlots * slotBytes
    },
    get capacityBytes() {
      return capacityNow()
    },
    get usedBytes() {
      return slots.used * slotBytes
    },
    get fileBytes() {
      return growth.sizeBytes
    },
    get freeBytes() {
      return capacityNow() - (slots.used + awaitedSlots) * slotBytes
    },
    resize(capacityBytes) {
      capacitySlots = slotsIn(capacityBytes)
      slots.limit(capacitySlots)
      growth.limit(capacitySlots * slotBytes)
      cutFreeEnd()
    },
    isBehind: slots.isBehind,
    claim: slots.claim,
    async allocate(count) {
      let runs = slots.allocate(count, allocateFrom)
      awaitedSlots += count
      try {
        while (runs === null && (await grow(count))) runs = slots.allocate(count, allocateFrom)
      } finally {
        awaitedSlots -= count
      }
      if (runs === null) {
        const why = `${slots.free} of ${slots.size} slots are free, ${count} are needed`
        throw slabFull(room.isShort ? `${why}, and the disk has none for it to grow` : why)
      }
      if ((runs[0] as SlotRun).first < allocateFrom) allocateFrom = 0
      return runs
    },
    release(runs) {
      slots.release(runs)
      cutFreeEnd()
    },
    taken: slots.taken,
    ...createMoves(fd, io, options, (slot, isFull) => {
      allocateFrom = slot + 1
      if (isFull) room.refuseWrites()
    }),
    async close() {
      await cutting
      await io.close(fd)
    },
  }
}

function slotsIn(capacityBytes: number): number {
  const count = Math.floor(capacityBytes / slotBytes)
  if (count >= 1) return count
  throw new RangeError(`capacityBytes is ${capacityBytes}; a slab has at least one slot`)
}

function createMoves(
  fd: number,
  io: SlabIo,
  limits: { readonly readsInFlight: number; readonly writesInFlight: number },
  onFailedWrite: (slot: number, isFull: boolean) => void,
): Pick<Slab, 'read' | 'write'> {
  const reads = createInFlight(limits.readsInFlight)
  const writes = createInFlight(limits.writesInFlight)

  async function writePiece(piece: Uint8Array, position: number): Promise<void> {
    try {
      const count = await transfer(piece, (rest, done) => io.write(fd, rest, position + done))
      if (count < piece.length) throw new Error(`only ${count} of ${piece.length} bytes written`)
    } catch (cause) {
      onFailedWrite(Math.floor(position / slotBytes), isNoSpace(cause))
      if (isNoSpace(cause)) throw slabFull('the disk has no room left', cause)
      throw new CacheError('PREFIXD_E_CACHE_IO', `Writing the slab failed: ${cause}`, { cause })
    }
  }

  async function readPiece(piece: Uint8Array, position: number): Promise<void> {
    let count: number
    try {
      count = await transfer(piece, (rest, done) => io.read(fd, rest, position + done))
    } catch (cause) {
      throw new CacheError('PREFIXD_E_CACHE_IO', `Reading the slab failed: ${cause}`, { cause })
    }
    if (count < piece.length) {
      throw new CacheError(
        'PREFIXD_E_CACHE_CORRUPT',
        `The slab file ends at byte ${position + count}, inside a record.`,
      )
    }
  }

  return {
    async write(runs, bytes) {
      checkAligned(runs, bytes)
      await eachPiece(writes, runs, bytes, writePiece)
    },
    async read(runs, into, onPiece) {
      checkAligned(runs, into)
      await eachPiece(reads, runs, into, async (piece, position, from) => {
        await readPiece(piece, position)
        const taking = onPiece(from, from + piece.length)
        if (taking !== undefined) await taking
      })
    },
  }
}

function slabFull(why: string, cause?: unknown): CacheError {
  return new CacheError('PREFIXD_E_CACHE_FULL', `The SSD tier has no room: ${why}.`, { cause })
}

function checkAligned(runs: readonly SlotRun[], bytes: Uint8Array): void {
  const roomBytes = runs.reduce((sum, run) => sum + run.count, 0) * slotBytes
  const aligned = bytes.byteOffset % ioUnitBytes === 0 && bytes.length % ioUnitBytes === 0
  if (!aligned || bytes.length === 0 || bytes.length > roomBytes) {
    throw new RangeError(
      `${bytes.length} bytes at offset ${bytes.byteOffset} for ${roomBytes} bytes of slots: ` +
        `offset and length must be multiples of ${ioUnitBytes}, and the slots large enough`,
    )
  }
}

/**
 * Cuts the bytes at the runs' ends and at `pieceBytes`. Settles when nothing is under way any more,
 * also after a failure: then the first error is thrown, and what had not begun never begins.
 */
async function eachPiece(
  inFlight: InFlight,
  runs: readonly SlotRun[],
  bytes: Uint8Array,
  move: (piece: Uint8Array, position: number, from: number) => Promise<void>,
): Promise<void> {
  const errors: unknown[] = []
  const moves: Promise<void>[] = []

  async function attempt(from: number, to: number, position: number): Promise<void> {
    if (errors.length > 0) return
    try {
      await move(bytes.subarray(from, to), position, from)
    } catch (error) {
      errors.push(error)
    }
  }

  let runFrom = 0
  for (const run of runs) {
    const runTo = Math.min(runFrom + run.count * slotBytes, bytes.length)
    for (let from = runFrom; from < runTo; from += pieceBytes) {
      const to = Math.min(from + pieceBytes, runTo)
      const position = run.first * slotBytes + from - runFrom
      moves.push(inFlight.run(() => attempt(from, to, position)))
    }
    runFrom = runTo
  }
  await Promise.all(moves)
  if (errors.length > 0) throw errors[0]
}

/** Repeats short operations; ends early where no progress is possible. Resolves with the count. */
async function transfer(
  piece: Uint8Array,
  once: (rest: Uint8Array, done: number) => Promise<number>,
): Promise<number> {
  let done = 0
  while (done < piece.length) {
    const count = await once(piece.subarray(done), done)
    done += count
    // Nothing more to get, or the rest would no longer be aligned: the file ends here.
    if (count === 0 || count % ioUnitBytes !== 0) break
  }
  return done
}

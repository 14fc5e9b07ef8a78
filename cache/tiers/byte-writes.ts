/**
 * Fills the slots of records. In an encrypted store the bytes are sealed on their way. Others read
 * them in RAM meanwhile, so what is sealed is a copy: a piece at a time, in memory that is taken
 * once and used for ever.
 */
import { createInFlight } from './in-flight.ts'
import { mapPrivate } from './libc.ts'
import { type Entry, sealBytes } from './record-format.ts'
import type { Sealing } from './sealing.ts'
import { type Slab, slotBytes } from './slab.ts'
import { partOf } from './slots.ts'

export interface ByteTarget {
  readonly slab: Pick<Slab, 'write'>
  /** Null: they lie there as they are. */
  readonly sealing: Sealing | null
}

/**
 * Resolves with the entry, and with what opens its bytes where they are sealed. Rejects as
 * `Slab.write` does. When it settles nothing uses the bytes any more.
 */
export type ByteWrite = (entry: Entry, bytes: Uint8Array) => Promise<Entry>

/** As long as the slab's own pieces. */
const pieceSlots = 4
const pieceBytes = pieceSlots * slotBytes
/** Pieces that are sealed while the disk writes as many as it takes at once. */
const piecesAhead = 2

export function createByteWrites({ slab, sealing }: ByteTarget, writesInFlight: number): ByteWrite {
  const sealed = sealing && createSealedWrites(slab, sealing, writesInFlight + piecesAhead)
  return async (entry, bytes) => {
    if (bytes.length === 0) return entry
    if (sealed !== null) return { ...entry, seals: await sealed(entry, bytes) }
    await slab.write(entry.runs, bytes)
    return entry
  }
}

/** Resolves with the seals. */
function createSealedWrites(
  slab: ByteTarget['slab'],
  sealing: Sealing,
  piecesInFlight: number,
): (entry: Entry, bytes: Uint8Array) => Promise<Uint8Array> {
  const pieces = createInFlight(piecesInFlight)
  const unused: Uint8Array[] = []

  return async ({ record, runs }, bytes) => {
    const seals = new Uint8Array(Math.ceil(bytes.length / slotBytes) * sealBytes)
    let failed = false

    async function writePiece(from: number): Promise<void> {
      if (failed) return
      const memory = unused.pop() ?? new Uint8Array(mapPrivate(pieceBytes).buffer)
      try {
        const piece = memory.subarray(0, Math.min(pieceBytes, bytes.length - from))
        for (let at = 0; at < piece.length; at += slotBytes) {
          const slot = (from + at) / slotBytes
          const plain = bytes.subarray(from + at, Math.min(from + at + slotBytes, record.sizeBytes))
          const into = piece.subarray(at, at + plain.length)
          seals.set(await sealing.sealSlot(record, slot, plain, into), slot * sealBytes)
        }
        // The padding is nobody's: what was there before is another record's.
        piece.fill(0, Math.min(piece.length, record.sizeBytes - from))
        await slab.write(partOf(runs, from / slotBytes, pieceSlots), piece)
      } catch (error) {
        failed = true
        throw error
      } finally {
        unused.push(memory)
      }
    }

    const moves: Promise<void>[] = []
    for (let from = 0; from < bytes.length; from += pieceBytes) {
      moves.push(pieces.run(() => writePiece(from)))
    }
    const ended = await Promise.allSettled(moves)
    const refusal = ended.find((move) => move.status === 'rejected')
    if (refusal !== undefined) throw refusal.reason
    return seals
  }
}

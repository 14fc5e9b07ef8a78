/** The bytes of a record in the slab: the slots that they take, and whether they are right. */
import { crc32 } from 'node:zlib'
import { CacheError } from '../errors.ts'
import type { Crc32s } from '../types.ts'
import { type Entry, sealBytes } from './record-format.ts'
import type { Sealing } from './sealing.ts'
import { type Slab, slotBytes } from './slab.ts'
import { ioUnitBytes } from './slab-file.ts'
import { partOf, type SlotRun } from './slots.ts'
import type { RecordKey, StoredRecord } from './tier.ts'

/** What is kept of a record in memory: where its bytes are, and how they are checked. */
export interface Kept extends RecordKey {
  readonly sizeBytes: number
  readonly crc32s: Crc32s
  readonly runs: readonly SlotRun[]
  /** See `Entry`. */
  readonly seals?: Uint8Array
}

export function keptOf({ record, runs, seals }: Entry): Kept {
  const { hash, kind, sizeBytes, crc32s } = record
  const kept = { hash, kind, sizeBytes, crc32s, runs }
  return seals === undefined ? kept : { ...kept, seals }
}

/** What the bytes are read through. */
export interface ByteSource {
  readonly slab: Pick<Slab, 'read'>
  /** Null: they lie there as they are. */
  readonly sealing: Sealing | null
}

/** Most records are rows: their name is the block's, which exists already. */
export function nameOf({ hash, kind }: RecordKey): string {
  return kind === 'kv' ? hash : `${hash} ${kind}`
}

export function slotsFor(sizeBytes: number): number {
  return Math.ceil(sizeBytes / slotBytes)
}

type Checked = RecordKey & Pick<StoredRecord, 'sizeBytes' | 'crc32s'>

const paddedBytes = (sizeBytes: number): number => Math.ceil(sizeBytes / ioUnitBytes) * ioUnitBytes

export function checkShape({ sizeBytes, crc32s }: Checked, bytes: Uint8Array): void {
  const viewBytes = paddedBytes(sizeBytes)
  if (bytes.length !== viewBytes || crc32s.length !== slotsFor(sizeBytes)) {
    throw new RangeError(
      `a record of ${sizeBytes} bytes needs a view of ${viewBytes} bytes and ` +
        `${slotsFor(sizeBytes)} checksums; got ${bytes.length} and ${crc32s.length}`,
    )
  }
}

/**
 * Reads whole MiB of a record, from byte `origin` on, as far as `into` goes; opens them and checks
 * them. Rejects as `SsdTier.read` does.
 */
export async function readChecked(
  { slab, sealing }: ByteSource,
  record: Kept,
  into: Uint8Array,
  origin = 0,
): Promise<void> {
  const slotCount = Math.ceil(into.length / slotBytes)
  const runs = partOf(record.runs, origin / slotBytes, slotCount)
  /** The padding behind a record's end is nobody's. */
  const bytesOf = (at: number): Uint8Array =>
    into.subarray(at, Math.min(at + slotBytes, record.sizeBytes - origin))
  const slotOf = (at: number): number => (origin + at) / slotBytes
  if (sealing === null) {
    return slab.read(runs, into, (from, to) => {
      for (let at = from; at < to; at += slotBytes) checkCrc(record, slotOf(at), bytesOf(at))
    })
  }
  await slab.read(runs, into, async (from, to) => {
    for (let at = from; at < to; at += slotBytes) {
      await openSlot(sealing, record, slotOf(at), bytesOf(at))
      checkCrc(record, slotOf(at), bytesOf(at))
    }
  })
}

async function openSlot(
  sealing: Sealing,
  record: Kept,
  slot: number,
  bytes: Uint8Array,
): Promise<void> {
  const seal = record.seals?.subarray(slot * sealBytes, (slot + 1) * sealBytes)
  if (seal?.length === sealBytes && (await sealing.openSlot(record, slot, seal, bytes))) return
  throw corrupt(`MiB ${slot} of the record ${nameOf(record)} does not open: its seal is wrong.`)
}

/** One checksum for each MiB, which is also the size of a slot. */
function checkCrc(record: Kept, slot: number, bytes: Uint8Array): void {
  if (crc32(bytes) === record.crc32s[slot]) return
  throw corrupt(`MiB ${slot} of the record ${nameOf(record)} has a wrong checksum.`)
}

/**
 * Reads a record through `scratch` (whole MiB, as aligned as for `Slab.read`) and keeps nothing of
 * it. Waits for `turn` before each piece. Rejects as `SsdTier.read` does.
 */
export async function checkBytes(
  source: ByteSource,
  record: Kept,
  scratch: Uint8Array,
  turn: () => Promise<void>,
): Promise<void> {
  if (record.crc32s.length !== slotsFor(record.sizeBytes)) {
    throw corrupt(`The record ${nameOf(record)} has not one checksum for each MiB.`)
  }
  for (let origin = 0; origin < record.sizeBytes; origin += scratch.length) {
    await turn()
    const pieceBytes = Math.min(scratch.length, paddedBytes(record.sizeBytes - origin))
    await readChecked(source, record, scratch.subarray(0, pieceBytes), origin)
  }
}

export function corrupt(message: string): CacheError {
  return new CacheError('PREFIXD_E_CACHE_CORRUPT', message)
}

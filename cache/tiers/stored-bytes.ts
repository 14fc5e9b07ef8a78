/** The bytes of a record in the slab: the slots that they take, and whether they are right. */
import { crc32 } from 'node:zlib'
import { CacheError } from '../errors.ts'
import type { Crc32s } from '../types.ts'
import { type Slab, slotBytes } from './slab.ts'
import { ioUnitBytes } from './slab-file.ts'
import { partOf, type SlotRun } from './slots.ts'
import type { RecordKey, StoredRecord } from './tier.ts'

/** What is kept of a record in memory: where its bytes are, and how they are checked. */
export interface Kept extends RecordKey {
  readonly sizeBytes: number
  readonly crc32s: Crc32s
  readonly runs: readonly SlotRun[]
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
 * One checksum for each MiB, which is also the size of a slot. `bytes` begin at byte `origin` of
 * the record, a whole MiB; `from` and `to` are places in them.
 */
export function checkCrcs(
  record: Checked,
  bytes: Uint8Array,
  from: number,
  to: number,
  origin = 0,
): void {
  const end = Math.min(to, record.sizeBytes - origin)
  for (let at = from; at < end; at += slotBytes) {
    const found = crc32(bytes.subarray(at, Math.min(at + slotBytes, end)))
    const slot = (origin + at) / slotBytes
    if (found === record.crc32s[slot]) continue
    throw corrupt(`MiB ${slot} of the record ${nameOf(record)} has a wrong checksum.`)
  }
}

/**
 * Reads a record through `scratch` (whole MiB, as aligned as for `Slab.read`) and keeps nothing of
 * it. Waits for `turn` before each piece. Rejects as `SsdTier.read` does.
 */
export async function checkBytes(
  slab: Pick<Slab, 'read'>,
  record: Kept,
  scratch: Uint8Array,
  turn: () => Promise<void>,
): Promise<void> {
  const slotsAtOnce = scratch.length / slotBytes
  if (record.crc32s.length !== slotsFor(record.sizeBytes)) {
    throw corrupt(`The record ${nameOf(record)} has not one checksum for each MiB.`)
  }
  for (let origin = 0; origin < record.sizeBytes; origin += scratch.length) {
    await turn()
    const pieceBytes = Math.min(scratch.length, paddedBytes(record.sizeBytes - origin))
    const piece = scratch.subarray(0, pieceBytes)
    const runs = partOf(record.runs, origin / slotBytes, slotsAtOnce)
    await slab.read(runs, piece, (from, to) => checkCrcs(record, piece, from, to, origin))
  }
}

export function corrupt(message: string): CacheError {
  return new CacheError('PREFIXD_E_CACHE_CORRUPT', message)
}

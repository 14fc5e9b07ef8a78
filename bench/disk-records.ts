/** Records of the size of a real block, and the tier kept as busy with them as the service does. */
import { randomFillSync } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { createInFlight } from '../cache/tiers/in-flight.ts'
import { openSsdTier } from '../cache/tiers/ssd.ts'
import type { SsdTier, StoredRecord } from '../cache/tiers/tier.ts'
import type { BlockHash, Namespace } from '../cache/types.ts'
import { limits } from '../src/config/limits.ts'
import type { Arena } from './warm-arena.ts'

const mebibyte = 1024 * 1024
/** A block of 256 tokens of the default model. */
const recordBytes = 256 * 23_052 + 744
export const paddedBytes = Math.ceil(recordBytes / 4096) * 4096
/** In the arena and in the slab. */
export const recordRoomBytes = 6 * mebibyte

/** The tier itself has 4 pieces in flight; as in the service, more records wait at its door. */
const tierInFlight = 2 * limits.ssdWritesInFlight

/** A tier that has room for so many of these records, and takes it at once. */
export const openTierFor = (
  recordCount: number,
  directory: string,
  encryptionKey: Uint8Array | null = null,
): Promise<SsdTier> =>
  openSsdTier({
    directory,
    capacityBytes: recordCount * recordRoomBytes,
    stepBytes: recordCount * recordRoomBytes,
    freeDiskFloorBytes: limits.freeDiskFloorBytes,
    readsInFlight: limits.ssdReadsInFlight,
    writesInFlight: limits.ssdWritesInFlight,
    encryptionKey,
  })

export interface Written {
  readonly record: StoredRecord
  readonly bytes: Uint8Array
}

export const writeAll = (tier: SsdTier, source: readonly Written[]): Promise<void> =>
  each(tierInFlight, source, ({ record, bytes }) => tier.write(record, tokensOf(record), bytes))

export const readAll = (
  tier: SsdTier,
  source: readonly Written[],
  into: readonly Uint8Array[],
): Promise<void> =>
  each(tierInFlight, source, ({ record }, at) => tier.read(record, into[at] as Uint8Array))

export async function each<T>(
  recordsInFlight: number,
  items: readonly T[],
  work: (item: T, at: number) => Promise<void>,
): Promise<void> {
  const inFlight = createInFlight(recordsInFlight)
  await Promise.all(items.map((item, at) => inFlight.run(() => work(item, at))))
}

export function takeView(arena: Arena): Uint8Array {
  const extent = arena.allocate(recordBytes)
  if (extent === null) throw new Error('the arena of the bench is too small')
  return arena.view(extent.offset, paddedBytes)
}

export function makeRecord(arena: Arena, at: number): Written {
  const bytes = takeView(arena)
  randomFillSync(bytes)
  const crc32s: number[] = []
  for (let from = 0; from < recordBytes; from += mebibyte) {
    crc32s.push(crc32(bytes.subarray(from, Math.min(from + mebibyte, recordBytes))))
  }
  const hash = (at + 1).toString(16).padStart(16, '0') as BlockHash
  const record: StoredRecord = {
    hash,
    kind: 'kv',
    namespace: 'b'.repeat(64) as Namespace,
    parent: hash,
    blockIndex: at,
    tokenCount: 256,
    grid: true,
    sizeBytes: recordBytes,
    crc32s,
    createdAtMs: 0,
    lastUsedAtMs: 0,
  }
  return { record, bytes }
}

const tokensOf = (record: StoredRecord): Uint32Array => new Uint32Array(record.tokenCount)

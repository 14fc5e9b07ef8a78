/** Records whose bytes follow from their hash, so that every process can check any of them. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { createArena } from '../../cache/tiers/arena.ts'
import { openSsdTier, type SsdTierOptions } from '../../cache/tiers/ssd.ts'
import type { SsdTier, SsdTierOnDisk, StoredRecord } from '../../cache/tiers/tier.ts'
import type { BlockHash, Namespace, RecordKind, TokenIds } from '../../cache/types.ts'

export const MiB = 1024 * 1024

export function makeDirectory(): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'prefixd-test-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** A page-aligned view, as O_DIRECT wants it. */
export function alignedBytes(sizeBytes: number): Uint8Array {
  return createArena({ sizeBytes: sizeBytes + 64 * 1024, shared: false }).view(0, sizeBytes)
}

export function paddedBytes(sizeBytes: number): number {
  return Math.ceil(sizeBytes / 4096) * 4096
}

/** Small random numbers that a seed repeats: xorshift32. */
export function createRandom(seed: number): (below: number) => number {
  let state = seed | 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

export function hashOf(number: number): BlockHash {
  return (number + 1).toString(16).padStart(16, '0') as BlockHash
}

/** Fills the view with the bytes that a record of this hash and kind has. */
export function fillPayload(record: { hash: BlockHash; kind: RecordKind }, into: Uint8Array): void {
  const random = createRandom(crc32(`${record.hash}${record.kind}`))
  const words = new Uint32Array(into.buffer, into.byteOffset, into.byteLength / 4)
  for (let i = 0; i < words.length; i++) words[i] = random(0xffff_ffff)
}

export function tokensOf(hash: BlockHash): TokenIds {
  const random = createRandom(crc32(hash))
  return Uint32Array.from({ length: 16 }, () => random(50_000))
}

export interface Payload {
  readonly record: StoredRecord
  readonly tokens: TokenIds
  readonly bytes: Uint8Array
}

/** Writes the bytes into the view and describes them. */
export function makePayload(
  number: number,
  sizeBytes: number,
  view: Uint8Array = alignedBytes(paddedBytes(sizeBytes)),
  kind: RecordKind = 'kv',
): Payload {
  const hash = hashOf(number)
  fillPayload({ hash, kind }, view)
  const crc32s: number[] = []
  for (let at = 0; at < sizeBytes; at += MiB) {
    crc32s.push(crc32(view.subarray(at, Math.min(at + MiB, sizeBytes))))
  }
  const record: StoredRecord = {
    hash,
    kind,
    namespace: 'ab'.repeat(32) as Namespace,
    parent: hashOf(number + 1_000_000),
    blockIndex: number,
    tokenCount: 16,
    grid: number % 2 === 0,
    sizeBytes,
    crc32s,
    createdAtMs: 1_700_000_000_000 + number,
    lastUsedAtMs: 1_700_000_000_000 + number,
  }
  return { record, tokens: tokensOf(hash), bytes: view }
}

/** Throws unless the tier returns exactly the bytes and tokens that belong to the record. */
export async function expectStored(tier: SsdTier, record: StoredRecord): Promise<void> {
  const found = alignedBytes(paddedBytes(record.sizeBytes))
  await tier.read(record, found)
  const wanted = alignedBytes(found.length)
  fillPayload(record, wanted)
  const part = (bytes: Uint8Array) => bytes.subarray(0, record.sizeBytes)
  if (Buffer.compare(part(found), part(wanted)) !== 0)
    throw new Error(`${record.hash}: wrong bytes`)
  const tokens = tier.tokens(record.hash)
  if (String(tokens) !== String(tokensOf(record.hash))) {
    throw new Error(`${record.hash}: wrong tokens ${tokens}`)
  }
}

export function openTestTier(
  directory: string,
  options: Partial<SsdTierOptions> = {},
): Promise<SsdTierOnDisk> {
  return openSsdTier({
    directory,
    capacityBytes: 16 * MiB,
    stepBytes: 4 * MiB,
    freeDiskFloorBytes: 0,
    readsInFlight: 4,
    writesInFlight: 4,
    ...options,
  })
}

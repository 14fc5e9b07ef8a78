/**
 * The bytes of keys and values in LMDB; docs/on-disk-format.md says the same in tables. Pure. All
 * numbers are little endian. A value that was not written by `encodeEntry` decodes to null.
 */
import { crc32 } from 'node:zlib'
import type { BlockHash, Namespace, RecordKind, TokenIds } from '../types.ts'
import type { SlotRun } from './slots.ts'
import type { RecordKey, StoredRecord } from './tier.ts'

/** Rises when a file written before can no longer be read; then the directory has to be emptied. */
export const formatVersion = 1
/** The same, of a store that is encrypted: whoever does not know of keys refuses it as newer. */
export const encryptedVersion = 2

/** A record and where its bytes are. */
export interface Entry {
  readonly record: StoredRecord
  readonly runs: readonly SlotRun[]
  /** In an encrypted store: what opens each started MiB, a nonce and a tag for each. */
  readonly seals?: Uint8Array
}

export const nonceBytes = 12
export const tagBytes = 16
export const sealBytes = nonceBytes + tagBytes

const kindBytes: Readonly<Record<RecordKind, number>> = { kv: 1, window: 2, state: 3 }
const kindOfByte = new Map(
  (Object.keys(kindBytes) as RecordKind[]).map((kind) => [kindBytes[kind], kind]),
)

const hashBytes = 8
const hexDigits = Uint8Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0))
const digits = new Array<number>(2 * hashBytes).fill(0)
const gridFlag = 1
const sealedFlag = 2
const parentAt = 48
const fixedBytes = 56
const runBytes = 8
const crcBytes = 4
const namespaceBytesMax = 255
const u48Max = 2 ** 48 - 1

/** Throws a RangeError for anything but 16 hex digits. */
export function encodeHash(hash: BlockHash): Buffer {
  const bytes = Buffer.from(hash, 'hex')
  if (bytes.length !== hashBytes || hash.length !== 2 * hashBytes) {
    throw new RangeError(`hash is ${JSON.stringify(hash)}; a block hash has 16 hex digits`)
  }
  return bytes
}

/** Twice as fast as `toString('hex')`, which is made for longer ones. */
export function decodeHash(bytes: Uint8Array, at: number): BlockHash {
  for (let place = 0; place < hashBytes; place++) {
    const byte = bytes[at + place] as number
    digits[2 * place] = hexDigits[byte >> 4] as number
    digits[2 * place + 1] = hexDigits[byte & 15] as number
  }
  return String.fromCharCode.apply(null, digits) as BlockHash
}

export function encodeKey(key: RecordKey): Buffer {
  return Buffer.concat([encodeHash(key.hash), Uint8Array.of(kindBytes[key.kind])])
}

/** Null for a key that names no record. */
export function decodeKey(key: Buffer): RecordKey | null {
  const kind = kindOfByte.get(key[hashBytes] ?? 0)
  if (key.length !== hashBytes + 1 || kind === undefined) return null
  return { hash: decodeHash(key, 0), kind }
}

/** By hash: negative where the first key comes first, 0 for keys of one block. */
export function compareHashes(a: Uint8Array, b: Uint8Array): number {
  for (let at = 0; at < hashBytes; at++) {
    // A key that is cut comes before those that it begins.
    const difference = (a[at] ?? -1) - (b[at] ?? -1)
    if (difference !== 0) return difference
  }
  return 0
}

/** Throws a RangeError for a field that the format has no room for. */
export function encodeEntry({ record, runs, seals }: Entry): Buffer {
  const namespace = Buffer.from(record.namespace, 'latin1')
  checkRoom('namespace length', namespace.length, namespaceBytesMax)
  checkRoom('sizeBytes', record.sizeBytes, u48Max)
  const { crc32s } = record
  const lists = runs.length * runBytes + crc32s.length * crcBytes + (seals?.length ?? 0)
  const bytes = Buffer.alloc(fixedBytes + namespace.length + lists + crcBytes)
  const sealed = seals === undefined ? 0 : sealedFlag
  bytes.writeUInt8((record.grid ? gridFlag : 0) | sealed, 0)
  bytes.writeUInt8(namespace.length, 1)
  bytes.writeUInt32LE(record.blockIndex, 4)
  bytes.writeUInt32LE(record.tokenCount, 8)
  bytes.writeUInt32LE(runs.length, 12)
  bytes.writeUInt32LE(crc32s.length, 16)
  bytes.writeUIntLE(record.sizeBytes, 24, 6)
  bytes.writeUIntLE(clampTime(record.createdAtMs), 32, 6)
  bytes.writeUIntLE(clampTime(record.lastUsedAtMs), 40, 6)
  encodeHash(record.parent).copy(bytes, parentAt)
  let at = fixedBytes + namespace.copy(bytes, fixedBytes)
  for (const run of runs) {
    bytes.writeUInt32LE(run.first, at)
    bytes.writeUInt32LE(run.count, at + 4)
    at += runBytes
  }
  for (const crc of crc32s) at = bytes.writeUInt32LE(crc, at)
  if (seals !== undefined) {
    checkSeals(seals.length, crc32s.length)
    bytes.set(seals, at)
    at += seals.length
  }
  bytes.writeUInt32LE(crc32(bytes.subarray(0, at)), at)
  return bytes
}

export interface EntryDecoder {
  /** `usedAtMs`: a use that is known beside the entry; 0: none. */
  decode(key: Buffer, value: Buffer, usedAtMs?: number): Entry | null
}

/** Equal namespaces become one string: there are few, and a hundred thousand records. */
export function createEntryDecoder(): EntryDecoder {
  const namespaces = new Map<string, Namespace>()
  let last = '' as Namespace

  function isLast(bytes: Buffer, length: number): boolean {
    if (last.length !== length) return false
    for (let at = 0; at < length; at++) {
      if (last.charCodeAt(at) !== bytes[fixedBytes + at]) return false
    }
    return true
  }

  /** Most often it is that of the record before: then no string is made of it. */
  function decodeNamespace(bytes: Buffer, length: number): Namespace {
    if (isLast(bytes, length)) return last
    const text = bytes.toString('latin1', fixedBytes, fixedBytes + length) as Namespace
    last = namespaces.get(text) ?? text
    namespaces.set(text, last)
    return last
  }

  return {
    decode(key, bytes, usedAtMs = 0) {
      const kind = kindOfByte.get(key[hashBytes] ?? 0)
      if (key.length !== hashBytes + 1 || kind === undefined || !isWhole(bytes)) return null
      const namespaceEnd = fixedBytes + bytes.readUInt8(1)
      const runCount = bytes.readUInt32LE(12)
      const crcsAt = namespaceEnd + runCount * runBytes
      const record: StoredRecord = {
        hash: decodeHash(key, 0),
        kind,
        namespace: decodeNamespace(bytes, namespaceEnd - fixedBytes),
        parent: decodeHash(bytes, parentAt),
        blockIndex: bytes.readUInt32LE(4),
        tokenCount: bytes.readUInt32LE(8),
        grid: (bytes.readUInt8(0) & gridFlag) !== 0,
        sizeBytes: bytes.readUIntLE(24, 6),
        crc32s: decodeCrcs(bytes, crcsAt, bytes.readUInt32LE(16)),
        createdAtMs: bytes.readUIntLE(32, 6),
        lastUsedAtMs: Math.max(usedAtMs, bytes.readUIntLE(40, 6)),
      }
      const runs = decodeRuns(bytes, namespaceEnd, runCount)
      if (!isSealed(bytes)) return { record, runs }
      const sealsAt = crcsAt + record.crc32s.length * crcBytes
      return { record, runs, seals: Uint8Array.from(bytes.subarray(sealsAt, -crcBytes)) }
    },
  }
}

// Most records have one run and one checksum: an array that is written so has no room for others.

function decodeRuns(bytes: Buffer, from: number, count: number): SlotRun[] {
  const runAt = (at: number): SlotRun => ({
    first: bytes.readUInt32LE(at),
    count: bytes.readUInt32LE(at + 4),
  })
  if (count === 1) return [runAt(from)]
  return Array.from({ length: count }, (_, index) => runAt(from + index * runBytes))
}

function decodeCrcs(bytes: Buffer, from: number, count: number): number[] {
  if (count === 1) return [bytes.readUInt32LE(from)]
  return Array.from({ length: count }, (_, index) => bytes.readUInt32LE(from + index * crcBytes))
}

/** What crc32 gives for any bytes with their own crc32 behind them. */
const crcOfWhole = 0x2144_df1c

function isWhole(bytes: Buffer): boolean {
  if (bytes.length < fixedBytes + crcBytes) return false
  const eachMiB = crcBytes + (isSealed(bytes) ? sealBytes : 0)
  const lists = bytes.readUInt32LE(12) * runBytes + bytes.readUInt32LE(16) * eachMiB
  if (bytes.length !== fixedBytes + bytes.readUInt8(1) + lists + crcBytes) return false
  return crc32(bytes) === crcOfWhole
}

const isSealed = (bytes: Buffer): boolean => (bytes.readUInt8(0) & sealedFlag) !== 0

function checkSeals(length: number, crcCount: number): void {
  if (length === crcCount * sealBytes) return
  throw new RangeError(`${length} bytes of seals; ${crcCount} MiB have ${crcCount * sealBytes}`)
}

function checkRoom(field: string, value: number, max: number): void {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new RangeError(`${field} is ${value}; the on-disk format has room for 0 to ${max}`)
  }
}

function clampTime(timeMs: number): number {
  return Math.min(Math.max(0, Math.round(timeMs)), u48Max)
}

export function encodeTokens(tokens: TokenIds): Buffer {
  return Buffer.from(tokens.buffer, tokens.byteOffset, tokens.byteLength)
}

/**
 * A view of the bytes where they can be read as they lie, or else a copy. Every supported CPU is
 * little endian.
 */
export function decodeTokens(bytes: Uint8Array): TokenIds {
  const isAligned = bytes.byteOffset % Uint32Array.BYTES_PER_ELEMENT === 0
  const { buffer, byteOffset } = isAligned ? bytes : Uint8Array.from(bytes)
  return new Uint32Array(buffer, byteOffset, Math.floor(bytes.length / 4))
}

export function encodeTime(timeMs: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeUIntLE(clampTime(timeMs), 0, 6)
  return bytes
}

export function decodeTime(bytes: Buffer): number {
  return bytes.length === 8 ? bytes.readUIntLE(0, 6) : 0
}

export interface Format {
  readonly version: number
  readonly slotBytes: number
  /** Of an encrypted store; see `KeyMark`. */
  readonly key?: KeyMark
}

/** By what a key is known, and what makes this store's own keys of it. Hex. */
export interface KeyMark {
  /** 32 random bytes. */
  readonly salt: string
  /** 16 bytes that only the right key gives. */
  readonly check: string
}

export function encodeFormat(format: Format): Buffer {
  return Buffer.from(JSON.stringify(format))
}

/** Null when it is not a format that any prefixd wrote. */
export function decodeFormat(bytes: Uint8Array): Format | null {
  try {
    const format: unknown = JSON.parse(Buffer.from(bytes).toString())
    const { version, slotBytes } = format as Partial<Format>
    return Number.isInteger(version) && Number.isInteger(slotBytes) ? (format as Format) : null
  } catch {
    return null
  }
}

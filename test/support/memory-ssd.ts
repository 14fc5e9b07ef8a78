/** An SSD tier in memory with the same promises, for tests of the cache above it. */
import { crc32 } from 'node:zlib'
import { CacheError } from '../../cache/errors.ts'
import type { RecordKey, SsdTier, StoredRecord } from '../../cache/tiers/tier.ts'
import type { BlockHash, Namespace, TokenIds } from '../../cache/types.ts'

interface Stored {
  readonly record: StoredRecord
  readonly tokens: TokenIds
  readonly bytes: Uint8Array
}

export interface MemorySsd extends SsdTier {
  /** Damages the stored bytes of a block. */
  damage(hash: BlockHash): void
  /** Makes the next writes fail until it is called with null. */
  failWrites(error: Error | null): void
  /** Holds writes back until the returned function is called. */
  hold(): () => void
  /** The same content in a new tier, as after a restart. */
  reopen(): MemorySsd
}

const slotBytes = 1024 * 1024
const nameOf = (key: RecordKey): string => `${key.hash}:${key.kind}`

export function createMemorySsd(
  openedWithBytes: number,
  content: ReadonlyMap<string, Stored> = new Map(),
  lastWrites: string | null = null,
): MemorySsd {
  const stored = new Map(content)
  let capacityBytes = openedWithBytes
  const notes = new Map<Namespace, string>()
  let saidOfWrites = lastWrites
  let writeError: Error | null = null
  let gate: Promise<void> = Promise.resolve()
  let readBytes = 0
  let writtenBytes = 0
  /** Of writes and removals that are under way. */
  let takenBytes = 0

  const allocatedBytes = (sizeBytes: number) => Math.ceil(sizeBytes / slotBytes) * slotBytes
  const usedBytes = () => {
    let sum = 0
    for (const { record } of stored.values()) sum += allocatedBytes(record.sizeBytes)
    return sum
  }
  const tokensOf = (hash: BlockHash): TokenIds | null => {
    for (const item of stored.values()) if (item.record.hash === hash) return item.tokens
    return null
  }
  const freeBytes = () => capacityBytes - usedBytes() - takenBytes

  return {
    usage: () => ({
      usedBytes: usedBytes(),
      budgetBytes: capacityBytes,
      capacityBytes,
      fileBytes: usedBytes(),
      records: stored.size,
      readBytes,
      writtenBytes,
      directIo: false,
      disk: { state: 'enough', freeBytes: null, resumesAtBytes: null },
    }),
    async look() {},
    records: () => [...stored.values()].map((item) => item.record),
    tokens: tokensOf,
    damagedTokens: tokensOf,
    writes: () => saidOfWrites,
    allocatedBytes,
    freeBytes,
    resize(sizeBytes) {
      capacityBytes = sizeBytes
    },
    // Bytes have no places here.
    isBehind: () => false,
    async write(record, tokens, bytes, writes) {
      const neededBytes = allocatedBytes(record.sizeBytes)
      if (freeBytes() < neededBytes) throw new CacheError('PREFIXD_E_CACHE_FULL', 'no slots')
      takenBytes += neededBytes
      try {
        await gate
        await new Promise((resolve) => setImmediate(resolve))
        if (writeError !== null) throw writeError
      } finally {
        takenBytes -= neededBytes
      }
      stored.set(nameOf(record), { record, tokens: tokens.slice(), bytes: bytes.slice() })
      writtenBytes += record.sizeBytes
      saidOfWrites = writes ?? saidOfWrites
    },
    async read(key, into) {
      await new Promise((resolve) => setImmediate(resolve))
      const item = stored.get(nameOf(key))
      if (item === undefined) throw new CacheError('PREFIXD_E_CACHE_IO', 'no such record')
      into.set(item.bytes)
      readBytes += item.record.sizeBytes
      const sums = item.record.crc32s
      for (let i = 0; i < sums.length; i++) {
        const end = Math.min((i + 1) * slotBytes, item.record.sizeBytes)
        if (crc32(into.subarray(i * slotBytes, end)) !== sums[i]) {
          throw new CacheError('PREFIXD_E_CACHE_CORRUPT', 'bad sum')
        }
      }
    },
    async *examine({ turn }) {
      for (const [name, { record, bytes }] of [...stored]) {
        await turn()
        const sums = record.crc32s
        const isRight = sums.every((sum, i) => {
          const end = Math.min((i + 1) * slotBytes, record.sizeBytes)
          return crc32(bytes.subarray(i * slotBytes, end)) === sum
        })
        const mend = async () => void stored.delete(name)
        const damage = { kind: 'checksum' as const, key: record, what: 'bad sum', mend }
        yield { sizeBytes: record.sizeBytes, finding: isRight ? null : damage }
      }
    },
    async remove(keys) {
      const before = usedBytes()
      for (const key of keys) stored.delete(nameOf(key))
      const freedBytes = before - usedBytes()
      takenBytes += freedBytes
      await new Promise((resolve) => setImmediate(resolve))
      takenBytes -= freedBytes
      return freedBytes
    },
    async quarantine(key) {
      stored.delete(nameOf(key))
    },
    touch() {},
    notes: () => notes,
    async note(namespace, text) {
      if (text === '') notes.delete(namespace)
      else notes.set(namespace, text)
    },
    async close() {},
    damage(hash) {
      for (const item of stored.values()) {
        if (item.record.hash === hash) item.bytes[3] = (item.bytes[3] ?? 0) ^ 0xff
      }
    },
    failWrites(error) {
      writeError = error
    },
    hold() {
      let release = () => {}
      gate = new Promise((resolve) => {
        release = resolve
      })
      return release
    },
    reopen: () => createMemorySsd(capacityBytes, stored, saidOfWrites),
  }
}

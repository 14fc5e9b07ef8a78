/** Rebuilds the index from what LMDB says. Reads no payload and no token ids. */
import { addRecord, type CachedRecord, type PrefixIndex } from './prefix-index.ts'
import type { RecordKey, StoredRecord } from './tiers/tier.ts'

export interface Adopted {
  /** Least recently used first; of one request's blocks, children before parents. */
  readonly records: CachedRecord[]
  /** Without their rows or their parent they are garbage. */
  readonly orphans: RecordKey[]
}

export function adoptStored(index: PrefixIndex, stored: Iterable<StoredRecord>): Adopted {
  const records: CachedRecord[] = []
  const orphans: RecordKey[] = []
  for (const record of [...stored].sort(
    (a, b) => a.blockIndex - b.blockIndex || rank(a) - rank(b),
  )) {
    const block = index.get(record.hash) ?? insert(index, record)
    if (block === null) {
      orphans.push({ hash: record.hash, kind: record.kind })
      continue
    }
    // Whatever is stored of a block is as exact as the least exact part of it.
    block.grid &&= record.grid
    records.push(addRecord(block, record.kind, record.sizeBytes, record.crc32s))
  }
  records.sort(
    (a, b) => a.block.lastUsedAtMs - b.block.lastUsedAtMs || b.block.index - a.block.index,
  )
  return { records, orphans }
}

/** Rows first: a block is there when they are. */
const rank = (record: StoredRecord): number => (record.kind === 'kv' ? 0 : 1)

function insert(index: PrefixIndex, record: StoredRecord) {
  if (record.kind !== 'kv') return null
  const root = index.root(record.namespace)
  const parent = record.blockIndex === 0 ? root : index.get(record.parent)
  if (parent === undefined || parent.hash !== record.parent) return null
  return index.insert({ ...record, parent, index: record.blockIndex, tokens: null }, 'later')
}

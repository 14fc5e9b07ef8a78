/** Rebuilds the index from what LMDB says. Reads no payload and no token ids. */
import { addRecord, type CachedBlock, type CachedRecord, type PrefixIndex } from './prefix-index.ts'
import type { RecordKey, StoredRecord } from './tiers/tier.ts'

export interface Adopted {
  /** Least recently used first; of one request's blocks, children before parents. */
  readonly records: readonly CachedRecord[]
  /** Without their rows or their parent they are garbage. */
  readonly orphans: readonly RecordKey[]
}

export function adoptStored(index: PrefixIndex, stored: Iterable<StoredRecord>): Adopted {
  const records: CachedRecord[] = []
  const orphans: RecordKey[] = []
  for (const group of parentsFirst(stored)) {
    for (const record of group) {
      const block = record.kind === 'kv' ? insert(index, record) : index.get(record.hash)
      if (block === undefined) {
        orphans.push({ hash: record.hash, kind: record.kind })
        continue
      }
      // Whatever is stored of a block is as exact as the least exact part of it.
      block.grid &&= record.grid
      records.push(addRecord(block, record.kind, record.sizeBytes, record.crc32s))
    }
  }
  return { records: leastRecentFirst(records), orphans }
}

/** Rows by depth, and then what is exact at a boundary: a block is there when its rows are. */
function parentsFirst(stored: Iterable<StoredRecord>): StoredRecord[][] {
  const rows = new Map<number, StoredRecord[]>()
  const boundaries: StoredRecord[] = []
  for (const record of stored) {
    if (record.kind !== 'kv') {
      boundaries.push(record)
      continue
    }
    const group = rows.get(record.blockIndex)
    if (group === undefined) rows.set(record.blockIndex, [record])
    else group.push(record)
  }
  const byDepth = [...rows].sort(([a], [b]) => a - b)
  return [...byDepth.map(([, group]) => group), boundaries]
}

function insert(index: PrefixIndex, record: StoredRecord): CachedBlock | undefined {
  const { hash, tokenCount, grid, createdAtMs, lastUsedAtMs } = record
  const root = index.root(record.namespace)
  const parent = record.blockIndex === 0 ? root : index.get(record.parent)
  if (parent === undefined || parent.hash !== record.parent) return undefined
  return index.insert(
    {
      hash,
      parent,
      index: record.blockIndex,
      tokenCount,
      tokens: null,
      grid,
      createdAtMs,
      lastUsedAtMs,
    },
    'later',
  )
}

/** Compares numbers in two arrays: the records themselves lie all over the memory. */
function leastRecentFirst(records: readonly CachedRecord[]): CachedRecord[] {
  const times = new Float64Array(records.length)
  const depths = new Uint32Array(records.length)
  const order = new Uint32Array(records.length)
  for (const [place, { block }] of records.entries()) {
    times[place] = block.lastUsedAtMs
    depths[place] = block.index
    order[place] = place
  }
  order.sort(
    (a, b) =>
      (times[a] as number) - (times[b] as number) || (depths[b] as number) - (depths[a] as number),
  )
  return Array.from(order, (place) => records[place] as CachedRecord)
}

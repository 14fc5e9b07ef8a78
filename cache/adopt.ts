/** Rebuilds the index from what LMDB says. Reads no payload and no token ids. */
import {
  addRecord,
  type CachedBlock,
  type CachedRecord,
  type PrefixIndex,
  type TreeRoot,
} from './prefix-index.ts'
import type { RecordKey, StoredRecord } from './tiers/tier.ts'
import type { BlockHash } from './types.ts'

export interface Adopted {
  /** Least recently used first; of one request's blocks, children before parents. */
  readonly records: readonly CachedRecord[]
  /** Without their rows or their parent they are garbage. */
  readonly orphans: readonly RecordKey[]
}

export function adoptStored(index: PrefixIndex, stored: Iterable<StoredRecord>): Adopted {
  const records: CachedRecord[] = []
  const orphans: RecordKey[] = []
  const adopt = (record: StoredRecord, block: CachedBlock | undefined): void => {
    if (block === undefined) {
      orphans.push({ hash: record.hash, kind: record.kind })
      return
    }
    // Whatever is stored of a block is as exact as the least exact part of it.
    block.grid &&= record.grid
    records.push(addRecord(block, record.kind, record.sizeBytes, record.crc32s))
  }
  const boundaries: StoredRecord[] = []
  for (const chain of chainsOf(rowsOf(stored, boundaries))) {
    const first = chain[0] as StoredRecord
    let parent = first.blockIndex === 0 ? index.root(first.namespace) : index.get(first.parent)
    for (const record of chain) {
      const block = insert(index, record, parent)
      adopt(record, block)
      parent = block
    }
  }
  // A block is there when its rows are.
  for (const record of boundaries) adopt(record, index.get(record.hash))
  return { records: leastRecentFirst(records), orphans }
}

function rowsOf(stored: Iterable<StoredRecord>, others: StoredRecord[]): StoredRecord[] {
  const rows: StoredRecord[] = []
  for (const record of stored) {
    if (record.kind === 'kv') rows.push(record)
    else others.push(record)
  }
  return rows
}

/**
 * All rows, parents first, chain by chain: each with those that it stands on and that are in no
 * chain yet. A plan looks up a chain. Blocks that were made one after the other lie side by side,
 * and reading those that lie all over the heap would take most of its time.
 */
function* chainsOf(rows: readonly StoredRecord[]): Generator<StoredRecord[]> {
  const places = new Map<BlockHash, number>()
  for (const [place, { hash }] of rows.entries()) places.set(hash, place)
  const isTaken = new Uint8Array(rows.length)
  for (const last of rows.keys()) {
    const chain: StoredRecord[] = []
    let place: number | undefined = last
    let depth = Number.POSITIVE_INFINITY
    while (place !== undefined && isTaken[place] === 0) {
      const record = rows[place] as StoredRecord
      // Never in a circle, whatever the disk says.
      if (record.blockIndex >= depth) break
      depth = record.blockIndex
      isTaken[place] = 1
      chain.push(record)
      place = places.get(record.parent)
    }
    if (chain.length > 0) yield chain.reverse()
  }
}

function insert(
  index: PrefixIndex,
  record: StoredRecord,
  parent: CachedBlock | TreeRoot | undefined,
): CachedBlock | undefined {
  if (parent === undefined || parent.hash !== record.parent) return undefined
  const { hash, tokenCount, grid, createdAtMs, lastUsedAtMs } = record
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

/**
 * Compares numbers in two arrays: the records themselves lie all over the memory. Backwards a chain
 * is in the order that is wanted, mostly: sorting an array makes use of that, a typed one does not.
 */
function leastRecentFirst(records: readonly CachedRecord[]): CachedRecord[] {
  const times = new Float64Array(records.length)
  const depths = new Uint32Array(records.length)
  const order: number[] = []
  for (let place = records.length - 1; place >= 0; place--) {
    const { block } = records[place] as CachedRecord
    times[place] = block.lastUsedAtMs
    depths[place] = block.index
    order.push(place)
  }
  order.sort(
    (a, b) =>
      (times[a] as number) - (times[b] as number) || (depths[b] as number) - (depths[a] as number),
  )
  return order.map((place) => records[place] as CachedRecord)
}

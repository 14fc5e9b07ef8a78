/**
 * Brings back into RAM what was used last before a restart, so that the first requests find it
 * there. It takes memory that is free and warm, evicts nothing, and lets requests go first.
 */
import { type LoadingHost, readAhead } from './loading.ts'
import { type CachedRecord, isBlock, isGone, recordOf } from './prefix-index.ts'
import type { TierOrder } from './record-order.ts'
import type { Namespace } from './types.ts'

export interface RefillOptions {
  /** Bytes of the arena that are warm by now, as they grow; the refill ends with it. */
  readonly warmBytes: AsyncIterable<number>
  /** Bytes of the arena that it may fill; the rest stays free for what comes. */
  readonly fillBytes: number
  /** Will any request ask for it? */
  readonly isWanted: (record: CachedRecord) => boolean
  /** It is in RAM now. */
  readonly onFilled: (record: CachedRecord) => void
  /** Resolves when no request is under way, or after a while all the same. */
  readonly turn: () => Promise<void>
}

export interface RefillRequest {
  /** Bytes from the arena's beginning that are warm; see `Arena.warmUp`. */
  readonly warmBytes: AsyncIterable<number>
  /** Part of the RAM tier that may be filled. */
  readonly share: number
  /** How long one step lets requests go first. */
  readonly yieldMs: number
  readonly isWanted: (namespace: Namespace) => boolean
}

export interface Refilled {
  readonly recordCount: number
  readonly sizeBytes: number
}

/** A record that cannot be read ends nothing: it is reported, and the next one is tried. */
export async function refill(host: LoadingHost, options: RefillOptions): Promise<Refilled> {
  const { ram, ssd } = host
  const isOff = ssd === null || options.fillBytes === 0
  const wanted = isOff ? [].values() : fromTheirBeginnings(newestFirst(ssd.order))
  let next = wanted.next()
  let recordCount = 0
  let sizeBytes = 0
  await options.turn()
  for await (const warmBytes of options.warmBytes) {
    const endBytes = Math.min(warmBytes, options.fillBytes)
    for (; !next.done; next = wanted.next()) {
      const record = next.value
      if (!isMissing(record) || !options.isWanted(record)) continue
      await options.turn()
      const { arena } = ram
      if (arena.usedBytes + arena.allocatedBytes(record.sizeBytes) > endBytes) break
      const takeRoom = () => ram.allocateFree(record, record.block.namespace)
      if (!(await readAhead(host, record, takeRoom))) continue
      // What is read here is older than all that a request has used since.
      ram.order.putOldest(record)
      options.onFilled(record)
      recordCount++
      sizeBytes += record.sizeBytes
    }
    await options.turn()
  }
  return { recordCount, sizeBytes }
}

/** It may have come, or gone, while others were read. */
const isMissing = (record: CachedRecord): boolean =>
  record.extent === null && record.ssd === 'stored' && !isGone(record)

/** Rows and boundaries of a tier, merged. Of one time rows go first: a boundary is behind them. */
function* newestFirst(order: TierOrder): Generator<CachedRecord> {
  const rows = [...order.rows]
  const boundaries = [...order.boundaries]
  const usedAtMs = (record: CachedRecord | undefined): number =>
    record?.block.lastUsedAtMs ?? Number.NEGATIVE_INFINITY
  while (rows.length + boundaries.length > 0) {
    const isRow = usedAtMs(rows.at(-1)) >= usedAtMs(boundaries.at(-1))
    const newest = isRow ? rows.pop() : boundaries.pop()
    if (newest !== undefined) yield newest
  }
}

/**
 * A record is of no use without the rows before it, and these may seem older: the last uses before
 * a crash are not on the disk.
 */
function* fromTheirBeginnings(records: Iterable<CachedRecord>): Generator<CachedRecord> {
  const seen = new Set<CachedRecord>()
  for (const record of records) {
    const before: CachedRecord[] = []
    for (let { parent } = record.block; isBlock(parent); { parent } = parent) {
      const rows = recordOf(parent, 'kv')
      if (rows === undefined || seen.has(rows)) break
      before.push(rows)
    }
    for (const each of [...before.reverse(), record]) {
      if (seen.has(each)) continue
      seen.add(each)
      yield each
    }
  }
}

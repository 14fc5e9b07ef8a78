/**
 * Records of one tier in order of use: rows, and apart from them what is exact at a boundary only.
 * Boundaries have a share of the tier's bytes of their own, and other rules of leaving.
 */
import type { CachedRecord } from './prefix-index.ts'
import { type Links, RecencyList } from './recency.ts'

export interface RecordOrder {
  /** From the least to the most recently used, as both below. */
  readonly rows: Iterable<CachedRecord>
  readonly boundaries: Iterable<CachedRecord>
}

export interface OrderOptions {
  readonly linksOf: (record: CachedRecord) => Links<CachedRecord>
  /** What a record takes in this tier. */
  readonly bytesOf: (record: CachedRecord) => number
}

export class TierOrder implements RecordOrder {
  readonly rows: RecencyList<CachedRecord>
  readonly boundaries: RecencyList<CachedRecord>
  readonly #options: OrderOptions
  #boundaryBytes = 0

  constructor(options: OrderOptions) {
    this.#options = options
    this.rows = new RecencyList(options.linksOf)
    this.boundaries = new RecencyList(options.linksOf)
  }

  get boundaryBytes(): number {
    return this.#boundaryBytes
  }

  /** Puts a record at the new end, wherever it stood before. */
  touch(record: CachedRecord): void {
    this.remove(record)
    this.#listOf(record).touch(record)
    if (record.kind !== 'kv') this.#boundaryBytes += this.#options.bytesOf(record)
  }

  remove(record: CachedRecord): void {
    if (!this.#options.linksOf(record).listed) return
    this.#listOf(record).remove(record)
    if (record.kind !== 'kv') this.#boundaryBytes -= this.#options.bytesOf(record)
  }

  *[Symbol.iterator](): Generator<CachedRecord> {
    yield* this.rows
    yield* this.boundaries
  }

  #listOf({ kind }: CachedRecord): RecencyList<CachedRecord> {
    return kind === 'kv' ? this.rows : this.boundaries
  }
}

/**
 * Records of one tier in the order of going: rows, and apart from them what is exact at a boundary
 * only, which leaves by other rules. Where both want the tier's room, boundaries have a share of
 * it.
 */
import type { Keeper } from './keeper.ts'
import type { CachedRecord } from './prefix-index.ts'
import { type Links, RecencyList } from './recency.ts'
import { RetentionOrder } from './retention-order.ts'

export interface RecordOrder {
  /** From the least to the most worth keeping. */
  readonly rows: Iterable<CachedRecord> & {
    /** The same by what they are worth. */
    readonly lists: readonly RecencyList<CachedRecord>[]
  }
  readonly boundaries: RecencyList<CachedRecord>
  /** Boundaries that others of their chain replace nearly as well, since they became so. */
  readonly spare: RecencyList<CachedRecord>
  /** How long a record has been idle, for what it is worth: who is the longest goes first. */
  idleMs(record: CachedRecord): number
}

/** What of a record decides which others make room for it. */
export type Incoming = Pick<CachedRecord, 'kind' | 'sizeBytes'>

/** Room is made for no record in particular. */
export const nothing: Incoming = { kind: 'kv', sizeBytes: 0 }

export interface OrderOptions {
  readonly linksOf: (record: CachedRecord) => Links<CachedRecord>
  /** What a record takes in this tier. */
  readonly bytesOf: (record: Incoming) => number
  readonly keeper: Pick<Keeper, 'weightOf'>
  readonly now: () => number
  /** The tier has a copy of this record, or has none any more. */
  readonly onEntered: (record: CachedRecord) => void
  readonly onLeft: (record: CachedRecord) => void
}

export class TierOrder implements RecordOrder {
  readonly rows: RetentionOrder<CachedRecord>
  readonly boundaries: RecencyList<CachedRecord>
  readonly spare: RecencyList<CachedRecord>
  readonly #options: OrderOptions
  #rowBytes = 0
  #boundaryBytes = 0
  #filledCount = 0

  constructor(options: OrderOptions) {
    this.#options = options
    const { linksOf, keeper, now } = options
    this.rows = new RetentionOrder({
      linksOf,
      keepClassOf: ({ block }) => block.keepClass,
      lastUsedAtMsOf: ({ block }) => block.lastUsedAtMs,
      weightOf: (keepClass) => keeper.weightOf(keepClass),
      now,
    })
    this.boundaries = new RecencyList(options.linksOf)
    this.spare = new RecencyList(options.linksOf)
  }

  idleMs(record: CachedRecord): number {
    return this.rows.idleMs(record)
  }

  get boundaryBytes(): number {
    return this.#boundaryBytes
  }

  get storedBytes(): number {
    return this.#rowBytes + this.#boundaryBytes
  }

  /** Records that take bytes here; rows of models that keep nothing for a token take none. */
  get filledCount(): number {
    return this.#filledCount
  }

  /**
   * Do boundaries go before rows, when this one wants in? Beyond their share they do, unless there
   * are no rows that could have the room.
   */
  boundariesYield(incoming: Incoming, shareBytes: number): boolean {
    const more = incoming.kind === 'kv' ? 0 : this.#options.bytesOf(incoming)
    return this.#rowBytes > 0 && this.#boundaryBytes + more > shareBytes
  }

  /** Puts a record at the new end, wherever it stood before. */
  touch(record: CachedRecord): void {
    const isNew = !this.#unlist(record)
    this.#listOf(record).touch(record)
    this.#count(record, 1)
    if (isNew) this.#options.onEntered(record)
  }

  /** Puts a record at the old end: what came back unasked goes before what was asked for. */
  putOldest(record: CachedRecord): void {
    const isNew = !this.#unlist(record)
    this.#listOf(record).putOldest(record)
    this.#count(record, 1)
    if (isNew) this.#options.onEntered(record)
  }

  /** It is worth more or less than before, and was not used meanwhile. */
  reclass(record: CachedRecord): void {
    if (this.#options.linksOf(record).list !== null) this.putOldest(record)
  }

  /** A boundary has become spare, or is so no longer. */
  regroup(record: CachedRecord): void {
    if (this.#options.linksOf(record).list !== null) this.touch(record)
  }

  remove(record: CachedRecord): void {
    if (this.#unlist(record)) this.#options.onLeft(record)
  }

  *[Symbol.iterator](): Generator<CachedRecord> {
    yield* this.rows
    yield* this.boundaries
    yield* this.spare
  }

  /** False: it stood nowhere. */
  #unlist(record: CachedRecord): boolean {
    const { list } = this.#options.linksOf(record)
    if (list === null) return false
    list.remove(record)
    this.#count(record, -1)
    return true
  }

  #count(record: CachedRecord, sign: 1 | -1): void {
    const sizeBytes = this.#options.bytesOf(record)
    if (record.kind === 'kv') this.#rowBytes += sign * sizeBytes
    else this.#boundaryBytes += sign * sizeBytes
    if (sizeBytes > 0) this.#filledCount += sign
  }

  #listOf({ kind, spare }: CachedRecord): Pick<RecencyList<CachedRecord>, 'touch' | 'putOldest'> {
    if (kind === 'kv') return this.rows
    return spare ? this.spare : this.boundaries
  }
}

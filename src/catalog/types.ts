/** What the catalog is to the rest of the product. Types only. */
import type { CacheListener } from '../../cache/listener.ts'
import type { BlockHash, Namespace, TierName } from '../../cache/types.ts'
import type {
  Advice,
  RequestPage,
  RequestQuery,
  RequestRecord,
  RequestTotals,
  SessionName,
  Totals,
} from '../pipeline/types.ts'

/** A block that no eviction takes, with all that it stands on. */
export interface Pin {
  /** Chain hash of the last block that is kept. */
  readonly hash: string
  /** Null: until it is unpinned. */
  readonly untilMs: number | null
  readonly createdAtMs: number
}

export interface PinStore {
  /** In the order in which they were pinned; also those that are over. */
  all(): readonly Pin[]
  /**
   * These are all, from now on. Durable when it resolves; rejects with `PREFIXD_E_CATALOG`, and
   * nothing has changed then. One call at a time.
   */
  replace(pins: readonly Pin[]): Promise<void>
}

export interface RequestLog {
  /** Is written soon. */
  note(request: RequestRecord): void
  /** The latest first, with all that was noted before. */
  list(query: RequestQuery): Promise<RequestPage>
  /** Null: there is none of this id, or none of this tenant's. */
  find(id: string, tenant?: string | null): Promise<RequestRecord | null>
  /** What was noted of it so far is no reason to list it after a restart. Is written soon. */
  endSession(session: SessionName): void
  /** The last answered one of each session that has not ended since, the latest last. */
  lastOfSessions(): readonly RequestRecord[]
}

export interface TotalsLog {
  /** Adds to the totals of this hour and this model. Is written soon. */
  add(model: string, counts: Partial<Totals>): void
  /** What was added since then, from the beginning of that hour on. */
  since(fromMs: number): Promise<RequestTotals>
}

export interface PrefixRecord {
  /** Chain hash of its last block. */
  readonly hash: string
  readonly namespace: string
  readonly tokens: number
  readonly hits: number
  /** Chain hash of the block behind which its first request went on; null: of none. */
  readonly grownFrom: string | null
  /** Its first words; null without `keep-text`. */
  readonly label: string | null
  readonly createdAtMs: number
  readonly usedAtMs: number
}

export interface PrefixLog {
  /** Is written soon. What it grew from stays as it was noted first, and hits never sink. */
  note(prefix: PrefixRecord): void
  forget(hash: string): void
  /** Also what is not written yet. Synchronous, some µs. */
  find(hash: string): PrefixRecord | null
  /** Those whose hash comes after this one, in order; empty at the end. */
  page(after: string): readonly PrefixRecord[]
  /** Resolves when everything that was noted is written. */
  written(): Promise<void>
}

/** What a request had to compute although it was stored once. */
export interface Missed {
  /** In the order of the prompt. */
  readonly blocks: readonly BlockHash[]
  /** Goes its model on only where a block has more than rows? */
  readonly needsBoundary: boolean
  /** What computing a token took; null: nobody knows. */
  readonly msPerToken: number | null
}

/** Evicted blocks, by their names alone, and what would have kept those that were asked for. */
export interface GhostLog {
  readonly onEvicted: CacheListener['onEvicted']
  readonly whenEvicted: CacheListener['whenEvicted']
  /** Counts what more room would have saved a request. Call it once for each. */
  missed(missed: Missed): void
  /** Of the last days, by how much more room; see `Advice`. */
  advice(): Advice
}

/** Whose speed it is. */
export interface MeasuredModel {
  /** Of its blocks that are nobody's own: engine, build, weights and layout. */
  readonly namespace: Namespace
  /** In the worker's words, which name its threads where they count. */
  readonly device: string
}

export interface MeasuredRates {
  readonly prefillTokensPerMs: number | null
  /** Of the last restores from each tier, oldest first. */
  readonly restoresBytesPerMs: Readonly<Record<TierName, readonly number[]>>
}

/** Speeds that were measured on this machine, also by earlier runs. */
export interface RateLog {
  /** Takes the place of what was noted of this model before. Is written within seconds. */
  note(model: MeasuredModel, rates: MeasuredRates): void
  /** Only what can be a speed: numbers above 0. Null: nothing was noted. */
  latest(model: MeasuredModel): MeasuredRates | null
}

/** What people ask about later. Which bytes are stored is the index's to say, not the catalog's. */
export interface Catalog {
  readonly pins: PinStore
  readonly prefixes: PrefixLog
  readonly requests: RequestLog
  readonly totals: TotalsLog
  readonly ghosts: GhostLog
  readonly rates: RateLog
  /** Writes what was noted so far, and gives the file back. */
  close(): void
}

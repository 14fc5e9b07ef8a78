/** What operators are told: figures, prefixes, workers, and what they may evict. Types only. */
import type {
  DiskUsage,
  Layout,
  RecordKind,
  TierName,
  TierUsage,
  VerifyEvent,
} from '../../cache/types.ts'
import type { EngineStatus } from '../../engines/types.ts'

export interface CacheStats {
  readonly version: string
  readonly upMs: number
  readonly blockTokens: number
  readonly reuse: 'token' | 'block'
  readonly directory: string
  readonly tiers: readonly TierUsage[]
  readonly prefixes: number
  readonly blocks: number
  readonly requests: RequestCounts
  readonly tokens: TokenCounts
  readonly savedPrefillMs: number
  /** Sessions that are remembered. */
  readonly sessions: number
  /** One entry for each normaliser that has removed something since the start. */
  readonly hygiene: readonly HygieneTotal[]
  readonly restores: { readonly ok: number; readonly failed: number }
  readonly corruptBlocks: number
  readonly failedWrites: number
  readonly refusedWrites: number
  /** See `Advice.best`. */
  readonly advice: AdviceStep | null
  /** Null without an SSD tier. */
  readonly ssdWrites: SsdWrites | null
  readonly ssdDisk: DiskUsage | null
  readonly ttftMs: { readonly hit: number | null; readonly miss: number | null }
  /** The part of each model in this, the default one first. */
  readonly models: readonly ModelStats[]
}

/** What the SSD is written, and what it may be. */
export interface SsdWrites {
  /** Most bytes in 24 hours; null: there is no limit. */
  readonly perDayBytes: number | null
  /** What may be written at once now; null: there is no limit. */
  readonly leftBytes: number | null
  /** Since midnight, UTC: what was written, and what has had to wait in RAM. */
  readonly todayBytes: number
  readonly refusedTodayBytes: number
  /** A day's bytes, by the last 30 days. */
  readonly meanPerDayBytes: number
}

export interface ModelStats {
  readonly model: string
  readonly requests: RequestCounts
  readonly tokens: TokenCounts
  /** What its plans go by; null where too little was measured. */
  readonly rates: {
    readonly prefillTokensPerSecond: number | null
    readonly restoreBytesPerSecond: Readonly<Record<TierName, number | null>>
  }
}

export interface RequestCounts {
  readonly total: number
  readonly hit: number
  readonly partial: number
  readonly miss: number
  readonly bypass: number
  readonly failed: number
}

export interface TokenCounts {
  readonly prompt: number
  readonly restoredRam: number
  readonly restoredSsd: number
  readonly computed: number
  readonly saved: number
  readonly generated: number
}

export interface HygieneTotal {
  readonly name: string
  readonly requests: number
  readonly chars: number
}

/** What was served in a span of time. */
export interface Totals {
  readonly requests: number
  readonly hit: number
  readonly partial: number
  readonly miss: number
  readonly bypass: number
  readonly failed: number
  readonly promptTokens: number
  /** Restored, by the slowest tier that was read for it. */
  readonly ramTokens: number
  readonly ssdTokens: number
  readonly computedTokens: number
  readonly savedTokens: number
  readonly generatedTokens: number
  readonly savedPrefillMs: number
  readonly ssdWrittenBytes: number
  readonly ssdReadBytes: number
}

export interface ModelTotals extends Totals {
  readonly model: string
}

export interface DayTotals extends Totals {
  /** Of UTC. */
  readonly startMs: number
}

export interface RequestTotals {
  /** The beginning of what is counted: totals are kept for each hour, and of old ones each day. */
  readonly fromMs: number
  readonly all: Totals
  /** The one with most prompt tokens first. */
  readonly models: readonly ModelTotals[]
  readonly days: readonly DayTotals[]
}

/** What was computed again since it had been evicted, and how much more room would have kept it. */
export interface Advice {
  readonly sinceMs: number
  /** Rising, in each tier; only those that would have served more than the one before. */
  readonly steps: readonly AdviceStep[]
  /** The least room that would have served most of it; null: none would. */
  readonly best: AdviceStep | null
}

export interface AdviceStep {
  readonly tier: TierName
  /** So much more of this tier would have done it. */
  readonly moreBytes: number
  readonly requests: number
  readonly tokens: number
  /** What computing these tokens took. */
  readonly prefillMs: number
}

/** One chain of stored blocks, from a prompt's start to a leaf; prompts may go on up to a token. */
export interface PrefixSummary {
  readonly id: string
  readonly model: string
  readonly namespace: string
  readonly tokens: number
  readonly restorableTokens: number
  /** As much of it as the SSD has on its own: what a restart keeps. */
  readonly durableTokens: number
  readonly sizeBytes: number
  /** Bytes that no other prefix shares. */
  readonly uniqueBytes: number
  readonly tiers: readonly TierName[]
  readonly hits: number
  readonly createdAtMs: number
  readonly lastUsedAtMs: number
  readonly leased: boolean
  /** Does a pin keep all of it? Until when; null: until it is unpinned, or it is not. */
  readonly pinned: boolean
  readonly pinnedUntilMs: number | null
  /** Whose key stored it; null where no keys were in use. */
  readonly tenant: string | null
  /** Sessions whose latest request ended at this prefix, the latest first. */
  readonly sessions: readonly string[]
  /** Id of what its first request restored and went on from; null: nothing, or nobody knows. */
  readonly grownFrom: string | null
  /** Its first words; null without `keep-text`, and where the prompt was no text. */
  readonly label: string | null
}

export interface PrefixBlock {
  readonly hash: string
  readonly from: number
  readonly to: number
  readonly sizeBytes: number
  readonly tiers: readonly TierName[]
  readonly sharedBy: number
  readonly grid: boolean
  /** With more than `kv`, prompts can go on behind it on every layout. */
  readonly kinds: readonly RecordKind[]
}

/** A value of the engine that is part of the namespace, such as its build. */
export interface Mismatch {
  readonly name: string
  readonly stored: string
  readonly served: string
}

/** Who keeps a prefix from eviction. */
export interface KeptBecause {
  /** A request uses it; a pin; a client's wish for a time; a session's for a copy in RAM. */
  readonly reason: 'request' | 'pin' | 'lifetime' | 'session'
  /** Id of the prefix that this was said of, which may stand behind the one that is kept. */
  readonly prefix: string
  /** Null: nobody knows, or until it is unpinned. */
  readonly untilMs: number | null
}

export interface PrefixDetail extends PrefixSummary {
  /** The longest first; empty: it goes when its room is needed. */
  readonly keptBecause: readonly KeptBecause[]
  /** Requests that have used it lately. */
  readonly recentUses: number
  /** How many times as long as others it may lie idle before it goes. */
  readonly idleWeight: number
  /** Engine and build whose worker has computed it; null: nobody knows. */
  readonly storedBy: string | null
  /** Why the worker that serves its model now does not find it; none where it does. */
  readonly mismatches: readonly Mismatch[]
  readonly blocks: readonly PrefixBlock[]
  /** Freed when it is evicted, with what goes on behind it; the pinned and what is in use stay. */
  readonly reclaimableBytes: number
}

export interface PrefixPage {
  readonly prefixes: readonly PrefixSummary[]
  readonly total: number
  readonly nextCursor: string | null
}

export interface PrefixQuery {
  readonly model?: string
  readonly tier?: TierName
  readonly sort: 'last' | 'size' | 'hits' | 'age' | 'tokens'
  readonly limit: number
  readonly cursor?: string
}

/** Exactly one way of choosing; `tier` alone clears that tier and keeps the other's copies. */
export interface EvictSelector {
  readonly ids?: readonly string[]
  readonly model?: string
  /** What nobody but this session has of its prompt, whichever tenant's it is. */
  readonly session?: string
  readonly tenant?: string
  readonly namespace?: string
  readonly olderThanMs?: number
  readonly tier?: TierName
  readonly all?: boolean
}

export interface EvictOptions {
  readonly dryRun: boolean
  /** What is pinned goes too, and its pins with it. */
  readonly force: boolean
}

export interface EvictReport {
  readonly dryRun: boolean
  readonly blocks: number
  readonly prefixes: number
  readonly freedBytes: Readonly<Record<TierName, number>>
  /** Chosen, but in use. */
  readonly keptBlocks: number
  /** Chosen, but pinned. */
  readonly pinnedBlocks: number
}

export interface PinSummary {
  readonly id: string
  /** These are null while it is not stored. */
  readonly model: string | null
  readonly tokens: number | null
  readonly sizeBytes: number | null
  /** `not_stored`: it waits for that; `no_room`: the tiers are smaller than when it was pinned. */
  readonly state: 'kept' | 'not_stored' | 'no_room'
  readonly untilMs: number | null
  readonly createdAtMs: number
}

export interface PinList {
  readonly pins: readonly PinSummary[]
  /** Pins and clients' lifetimes together, and the most that they may keep. */
  readonly tiers: readonly {
    readonly tier: TierName
    readonly keptBytes: number
    readonly mostBytes: number
  }[]
}

export interface ImportOptions {
  /** Whose blocks they become. */
  readonly owner: { readonly salt: string; readonly tenant: string | null }
  /** Take the file, whoever has signed it. */
  readonly trust: boolean
}

export interface ImportReport {
  readonly model: string
  readonly signer: string
  readonly writtenBy: string
  readonly writtenAtMs: number
  /** The salts differ: the blocks have other names here than in the file. */
  readonly renamed: boolean
  readonly records: number
  readonly sizeBytes: number
  /** Of the records: newly stored; there already; and those that found no room. */
  readonly stored: number
  readonly present: number
  readonly skipped: number
}

/** Prefixes as files: docs/on-disk-format.md. */
export interface Transfer {
  /** Throws at once for ids that cannot be exported together. */
  exportPrefixes(ids: readonly string[]): AsyncIterable<Uint8Array>
  /** Rejects with `PREFIXD_E_IMPORT_…`; what was whole and checked until then stays. */
  importPrefixes(chunks: AsyncIterable<Uint8Array>, options: ImportOptions): Promise<ImportReport>
}

export interface WorkerReport {
  readonly model: string
  readonly engine: string
  readonly status: EngineStatus
  readonly contextTokens: number | null
  readonly sequences: number | null
  readonly layout: Layout | null
  readonly device: string | null
  readonly memory: WorkerMemory
}

/** Of the worker's process, without the RAM tier that it maps. Null: nobody can tell. */
export interface WorkerMemory {
  /** What was planned at the start: weights, contexts and the processes themselves. */
  readonly estimatedBytes: number | null
  /** What it has now. */
  readonly residentBytes: number | null
}

export interface CacheAdmin {
  stats(): CacheStats
  advice(): Advice
  /** What was served since then, also by earlier runs. */
  totals(fromMs: number): Promise<RequestTotals>
  prefixes(query: PrefixQuery): PrefixPage
  /** Full or unique beginning of an id; throws `PREFIXD_E_PREFIX_NOT_FOUND` or `…_AMBIGUOUS`. */
  prefix(id: string): PrefixDetail
  /** Reads all that is stored and compares it; the signal ends it, with its reason. */
  verify(repair: boolean, signal: AbortSignal): AsyncIterable<VerifyEvent>
  /** Rejects as `prefix` throws, and for a name of which nothing was ever stored or is served. */
  evict(selector: EvictSelector, options: EvictOptions): Promise<EvictReport>
  pins(): PinList
  /**
   * Null: until it is unpinned. Rejects as `prefix` throws, and with `PREFIXD_E_PIN_LIMIT` or
   * `PREFIXD_E_CATALOG`.
   */
  pin(id: string, ttlMs: number | null): Promise<PinSummary>
  /** Resolves with what was pinned; rejects as `pin` does. */
  unpin(id: string): Promise<PinSummary>
}

/** What a cache is made of, and its limits. Types only. */
import type { Eviction } from './keeper.ts'
import type { Arena, SsdTier } from './tiers/tier.ts'
import type { Hash64, ReuseMode } from './types.ts'

export interface CacheOptions {
  readonly arena: Arena
  /** Null: nothing outlives the process. */
  readonly ssd: SsdTier | null
  readonly hash64: Hash64
  readonly blockTokens: number
  readonly reuse: ReuseMode
  /** Distance of boundaries that nobody asked for, where a layout needs boundaries. */
  readonly boundaryTokens: number
  /** Part of each tier that records which are exact at a boundary may take from rows. */
  readonly boundaryShare: number
  /** Part of each tier that pins and hints may keep from eviction, and how many hints there are. */
  readonly keptShare: number
  readonly keptHints: number
  /** What decides which records make room for others. */
  readonly eviction: Eviction
  /** About as many blocks are stored at a time; so many times four have their uses remembered. */
  readonly rememberedBlocks: number
  /** Damaged blocks that are remembered, so that who wants them is told; with their token ids. */
  readonly rememberedDamages: number
  /** Bytes of records on their way into the engine for one request. */
  readonly restoreWindowBytes: number
  /** How long a save or a restore waits for room in the arena. */
  readonly reserveWaitMs: number
  readonly ssdWritesInFlight: number
  /** Bytes that may be written to the SSD in 24 hours; null: as many as there are. */
  readonly ssdWritesPerDayBytes: number | null
  readonly now: () => number
  /** A fault that cost a hit or a save, as a sentence. It is never the client's error. */
  readonly warn: (message: string, error: unknown) => void
}

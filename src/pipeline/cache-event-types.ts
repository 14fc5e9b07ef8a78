/** The cache's own doings, under vLLM's names where it has them (docs.vllm.ai, "KV events"). */
import type { RecordKind, TierName } from '../../cache/types.ts'

/** Blocks one behind the other, all of one model and kind, that a tier has a copy of now. */
export interface BlockStored {
  readonly type: 'BlockStored'
  readonly atMs: number
  readonly medium: TierName
  readonly kind: RecordKind
  readonly model: string
  readonly blockHashes: readonly string[]
  /** Of the first one; null: it begins a prompt. */
  readonly parentBlockHash: string | null
  readonly tokenCount: number
}

export interface BlockRemoved {
  readonly type: 'BlockRemoved'
  readonly atMs: number
  readonly medium: TierName
  readonly kind: RecordKind
  readonly model: string
  readonly blockHashes: readonly string[]
}

/** Nothing is stored any more. */
export interface AllBlocksCleared {
  readonly type: 'AllBlocksCleared'
  readonly atMs: number
}

/** This reader was too slow for so many events. */
export interface EventsMissed {
  readonly type: 'EventsMissed'
  readonly atMs: number
  readonly count: number
}

export type CacheEvent = BlockStored | BlockRemoved | AllBlocksCleared | EventsMissed

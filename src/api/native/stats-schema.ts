/** The JSON of `GET /v1/cache/stats`. See schema.ts. */
import { type Static, Type } from 'typebox'
import { SharesSchema } from './budgets-schema.ts'
import { count, milliseconds, nullable, perTier, TierSchema } from './values.ts'
import { SsdDiskSchema, SsdWritesSchema } from './writes-schema.ts'

export const TierStatsSchema = Type.Object({
  tier: TierSchema,
  used_bytes: count,
  capacity_bytes: count,
  blocks: count,
  /** Of the bytes used: those of windows and states, which are exact at one position only. */
  boundary_bytes: count,
  /** Could be evicted now: neither leased nor being written. */
  reclaimable_bytes: count,
  /** Went so that others had room: of a block its rows, its windows and its states, each. */
  evicted_records: count,
  read_bytes: count,
  written_bytes: count,
})

const RequestCounts = Type.Object({
  total: count,
  hit: count,
  partial: count,
  miss: count,
  bypass: count,
  failed: count,
})

const TokenCounts = Type.Object({
  prompt: count,
  restored_ram: count,
  restored_ssd: count,
  computed: count,
  saved: count,
  generated: count,
})

export const ModelStatsSchema = Type.Object({
  model: Type.String(),
  requests: RequestCounts,
  tokens: TokenCounts,
  /** What its plans go by; null where too little was measured. */
  rates: Type.Object({
    prefill_tokens_per_second: nullable(Type.Number()),
    restore_bytes_per_second: perTier(nullable(Type.Number())),
  }),
})

/** So much more of this tier would have served so much that had to be computed again. */
export const AdviceStepSchema = Type.Object({
  tier: TierSchema,
  more_bytes: count,
  requests: count,
  tokens: count,
  prefill_ms: milliseconds,
})

export const CacheStatsSchema = Type.Object({
  version: Type.String(),
  up_ms: milliseconds,
  block_tokens: count,
  reuse: Type.Union([Type.Literal('token'), Type.Literal('block')]),
  directory: Type.String(),
  tiers: Type.Array(TierStatsSchema),
  prefixes: count,
  blocks: count,
  requests: RequestCounts,
  tokens: TokenCounts,
  saved_prefill_ms: milliseconds,
  /** Sessions that are remembered, by the ids that clients send. */
  sessions: count,
  /** What the normalisers have removed since the start. */
  hygiene: Type.Array(Type.Object({ name: Type.String(), requests: count, removed_chars: count })),
  restores: Type.Object({ ok: count, failed: count }),
  corrupt_blocks: count,
  /** By the disk. */
  failed_writes: count,
  /** For a share or the tier that was used up by what had to stay, or could not grow. */
  refused_writes: count,
  /** The least more room that would have served most of what was evicted and missed; null: none. */
  advice: nullable(AdviceStepSchema),
  /** Null without an SSD tier. */
  ssd_writes: nullable(SsdWritesSchema),
  /** The file system that it is on; null without one. */
  ssd_disk: nullable(SsdDiskSchema),
  shares: SharesSchema,
  ttft_ms: Type.Object({ hit: nullable(milliseconds), miss: nullable(milliseconds) }),
  /** The part of each model in this, the default one first. */
  models: Type.Array(ModelStatsSchema),
})

export type AdviceStepJson = Static<typeof AdviceStepSchema>
export type TierStatsJson = Static<typeof TierStatsSchema>
export type ModelStatsJson = Static<typeof ModelStatsSchema>
export type CacheStatsJson = Static<typeof CacheStatsSchema>

/**
 * The JSON of our own routes: snake_case, units in the names, null where nothing is known. The CLI
 * and the dashboard take their types from here, so that both ends of the wire are one declaration.
 */
import { type Static, Type } from 'typebox'
import { limits } from '../../config/limits.ts'
import { keptFields } from './kept-schema.ts'
import { count, exactly, milliseconds, nullable, perTier, TierSchema } from './values.ts'

const Tiers = Type.Array(TierSchema)

/* ---------- GET /v1/cache/prefixes, /v1/cache/prefixes/{id} ---------- */

export const PrefixSortSchema = Type.Union([
  Type.Literal('last'),
  Type.Literal('size'),
  Type.Literal('hits'),
  Type.Literal('age'),
  Type.Literal('tokens'),
])

/** The query as it stands in the URL: everything is text. */
export const PrefixQuerySchema = exactly({
  model: Type.Optional(Type.String()),
  tier: Type.Optional(TierSchema),
  sort: Type.Optional(PrefixSortSchema),
  limit: Type.Optional(
    Type.String({
      pattern: '^[0-9]{1,6}$',
      description: `a whole number from 1 to ${limits.prefixesPerPage}`,
    }),
  ),
  cursor: Type.Optional(Type.String()),
})

const summary = {
  id: Type.String(),
  model: Type.String(),
  namespace: Type.String(),
  tokens: count,
  /** The deepest token that a prompt can go on from; 0: what is stored restores nothing. */
  restorable_tokens: count,
  /** As much of it as the SSD has on its own: what a restart keeps. */
  durable_tokens: count,
  size_bytes: count,
  /** Bytes that no other prefix shares. */
  unique_bytes: count,
  tiers: Tiers,
  hits: count,
  created_at_ms: milliseconds,
  last_used_at_ms: milliseconds,
  leased: Type.Boolean(),
  /** Does a pin keep all of it, and until when? Null: until it is unpinned, or it is not pinned. */
  pinned: Type.Boolean(),
  pinned_until_ms: nullable(milliseconds),
  /** Whose key stored it; null where no keys were in use. */
  tenant: nullable(Type.String()),
  /** Sessions whose latest request ended here. */
  sessions: Type.Array(Type.String()),
  /** Id of the prefix that its first request restored and went on from. */
  grown_from: nullable(Type.String()),
  /** Its first words, untrusted; null without `keep-text`. */
  label: nullable(Type.String()),
}

export const PrefixSummarySchema = Type.Object(summary)

export const PrefixPageSchema = Type.Object({
  object: Type.Literal('list'),
  data: Type.Array(PrefixSummarySchema),
  total: count,
  /** Goes into `cursor` of the next request; null on the last page. */
  next_cursor: nullable(Type.String()),
})

const Kinds = Type.Array(
  Type.Union([Type.Literal('kv'), Type.Literal('window'), Type.Literal('state')]),
)

export const PrefixBlockSchema = Type.Object({
  hash: Type.String(),
  from: count,
  to: count,
  size_bytes: count,
  tiers: Tiers,
  shared_by: count,
  grid: Type.Boolean(),
  /** Of its records. A model that has more than `kv` goes on only where a block has all of them. */
  kinds: Kinds,
})

export const PrefixDetailSchema = Type.Object({
  ...summary,
  /** Engine and build that have computed it. */
  stored_by: Type.Union([Type.String(), Type.Null()]),
  /** Why the worker that serves its model now does not find it; empty where it does. */
  mismatches: Type.Array(
    Type.Object({ name: Type.String(), stored: Type.String(), served: Type.String() }),
  ),
  ...keptFields,
  blocks: Type.Array(PrefixBlockSchema),
  /** Freed when it is evicted, with what goes on behind it; the pinned and what is in use stay. */
  reclaimable_bytes: count,
})

/* ---------- POST /v1/cache/evict ---------- */

/** Nobody sends it one, and nothing of it is read. */
export const ResetRequestSchema = Type.Union([Type.Null(), Type.Object({})])
export const ResetQuerySchema = Type.Object({})

const Name = Type.String({ minLength: 1, maxLength: limits.nameLength })

/** Exactly one way of choosing beside `dry_run` and `force`. */
export const EvictRequestSchema = exactly({
  ids: Type.Optional(Type.Array(Name, { minItems: 1, maxItems: limits.evictIds })),
  model: Type.Optional(Name),
  session: Type.Optional(Type.String({ minLength: 1, maxLength: limits.sessionIdLength })),
  tenant: Type.Optional(Name),
  namespace: Type.Optional(Name),
  older_than_ms: Type.Optional(Type.Integer({ minimum: 0 })),
  tier: Type.Optional(TierSchema),
  all: Type.Optional(Type.Literal(true)),
  dry_run: Type.Optional(Type.Boolean()),
  /** What is pinned goes too, and its pins with it. */
  force: Type.Optional(Type.Boolean()),
})

export const EvictReportSchema = Type.Object({
  dry_run: Type.Boolean(),
  blocks: count,
  prefixes: count,
  freed_bytes: perTier(count),
  /** Chosen, but in use. */
  kept_blocks: count,
  /** Chosen, but pinned. */
  pinned_blocks: count,
})

/* ---------- GET /v1/cache/pins, PUT and DELETE /v1/cache/pins/{id} ---------- */

export const PinRequestSchema = Type.Union([
  Type.Null(),
  exactly({
    /** Absent or null: until it is unpinned. */
    ttl_seconds: Type.Optional(
      nullable(Type.Integer({ minimum: 1, maximum: limits.cacheTtlSecondsMax })),
    ),
  }),
])

export const PinSchema = Type.Object({
  id: Type.String(),
  /** These three are null while it is not stored. */
  model: nullable(Type.String()),
  tokens: nullable(count),
  size_bytes: nullable(count),
  state: Type.Union([Type.Literal('kept'), Type.Literal('not_stored'), Type.Literal('no_room')]),
  /** Null: until it is unpinned. */
  until_ms: nullable(milliseconds),
  created_at_ms: milliseconds,
})

export const PinListSchema = Type.Object({
  object: Type.Literal('list'),
  data: Type.Array(PinSchema),
  /** Pins and clients' lifetimes together, and the most that they may keep. */
  tiers: Type.Array(Type.Object({ tier: TierSchema, kept_bytes: count, most_bytes: count })),
})

/* ---------- GET /v1/workers ---------- */

export const LayoutSchema = Type.Object({
  /** Those that have bytes: no `kv` where single tokens leave nothing. */
  kinds: Kinds,
  sliceable: Type.Boolean(),
  /** Why nothing is stored, when `kinds` is empty. Then nobody knows the sizes: they are null. */
  refusal: nullable(Type.String()),
  kv_bytes_per_token: nullable(Type.Number()),
  kv_fixed_bytes: nullable(Type.Number()),
  /** Of one token in the engine's memory; a stored one has some bytes more. */
  row_bytes_per_token: nullable(Type.Number()),
  /** Of the windows and states at one boundary. */
  boundary_bytes: nullable(Type.Number()),
})

export const EngineStateSchema = Type.Union([
  Type.Literal('starting'),
  Type.Literal('ready'),
  Type.Literal('restarting'),
  Type.Literal('failed'),
  Type.Literal('stopped'),
])

export const WorkerSchema = Type.Object({
  model: Type.String(),
  engine: Type.String(),
  state: EngineStateSchema,
  pid: nullable(Type.Integer()),
  restarts: count,
  started_at_ms: milliseconds,
  last_error: nullable(Type.String()),
  busy_sequences: count,
  queued_requests: count,
  context_tokens: nullable(count),
  sequences: nullable(count),
  layout: nullable(LayoutSchema),
  device: nullable(Type.String()),
  /** Without the RAM tier. Null: nobody can tell. */
  memory: Type.Object({ estimated_bytes: nullable(count), resident_bytes: nullable(count) }),
})

export const WorkerListSchema = Type.Object({
  object: Type.Literal('list'),
  data: Type.Array(WorkerSchema),
})

/* ---------- the `cache` object of replies ---------- */

/** Beside `usage` in replies, and in the usage chunk of streams. What the engine confirmed. */
export const CacheObjectSchema = Type.Object({
  status: Type.Union([
    Type.Literal('hit'),
    Type.Literal('partial'),
    Type.Literal('miss'),
    Type.Literal('bypass'),
  ]),
  /** Slowest tier that was read. */
  tier: nullable(TierSchema),
  /** Argument for `prefixd inspect`. */
  prefix: nullable(Type.String()),
  blocks: Type.Object({ hit: count, total: count, block_tokens: count }),
  tokens: Type.Object({ restored: count, computed: count, saved: count }),
  ms: Type.Object({
    load: milliseconds,
    queue: milliseconds,
    tokenize: milliseconds,
    plan: milliseconds,
    restore: milliseconds,
    prefill: milliseconds,
    decode: milliseconds,
    save: milliseconds,
    ttft: nullable(milliseconds),
  }),
  miss: nullable(
    Type.Object({
      reason: Type.String(),
      at_token: count,
      /** With the reason `evicted`: when what is missing there went. */
      evicted_at_ms: Type.Optional(milliseconds),
    }),
  ),
  /** Sentences for people, one per decision. */
  reasons: Type.Array(Type.String()),
  /** What was removed from the chat before it was rendered. */
  hygiene: Type.Array(Type.Object({ name: Type.String(), removed_chars: count })),
  /** Text that differs between sessions and was left as it is; the first places only. */
  volatile: Type.Array(
    Type.Object({
      kind: Type.Union([Type.Literal('date'), Type.Literal('path'), Type.Literal('git')]),
      message: count,
      at_char: count,
    }),
  ),
})

/* ---------- every error ---------- */

export const ErrorBodySchema = Type.Object({
  error: Type.Object({
    message: Type.String(),
    type: Type.String(),
    param: nullable(Type.String()),
    code: nullable(Type.String()),
  }),
})

export type PrefixSort = Static<typeof PrefixSortSchema>
export type PrefixQueryString = Static<typeof PrefixQuerySchema>
export type PrefixSummaryJson = Static<typeof PrefixSummarySchema>
export type PrefixPageJson = Static<typeof PrefixPageSchema>
export type PrefixBlockJson = Static<typeof PrefixBlockSchema>
export type PrefixDetailJson = Static<typeof PrefixDetailSchema>
export type EvictRequestJson = Static<typeof EvictRequestSchema>
export type PinJson = Static<typeof PinSchema>
export type PinListJson = Static<typeof PinListSchema>
export type PinRequestJson = Exclude<Static<typeof PinRequestSchema>, null>
export type EvictReportJson = Static<typeof EvictReportSchema>
export type LayoutJson = Static<typeof LayoutSchema>
export type WorkerJson = Static<typeof WorkerSchema>
export type WorkerListJson = Static<typeof WorkerListSchema>
export type CacheObjectJson = Static<typeof CacheObjectSchema>
export type ErrorBodyJson = Static<typeof ErrorBodySchema>

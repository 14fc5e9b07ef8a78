/** The JSON of what was served: `/v1/requests`, and totals of hours and days. See schema.ts. */
import { type Static, Type } from 'typebox'
import { limits } from '../../config/limits.ts'
import { CacheObjectSchema } from './schema.ts'
import { AdviceStepSchema } from './stats-schema.ts'
import { count, exactly, milliseconds, nullable } from './values.ts'

const StatusSchema = Type.Union([
  Type.Literal('hit'),
  Type.Literal('partial'),
  Type.Literal('miss'),
  Type.Literal('bypass'),
  Type.Literal('failed'),
])

const wholeNumber = (description: string) =>
  Type.String({ pattern: '^[0-9]{1,15}$', description: `a whole number${description}` })

/* ---------- GET /v1/requests, /v1/requests/{id} ---------- */

/** The query as it stands in the URL: everything is text. */
export const RequestQuerySchema = exactly({
  model: Type.Optional(Type.String()),
  session: Type.Optional(Type.String()),
  status: Type.Optional(StatusSchema),
  limit: Type.Optional(wholeNumber(` from 1 to ${limits.requestsPerPage}`)),
  cursor: Type.Optional(wholeNumber(', next_cursor of the page before')),
})

export const RequestSchema = Type.Object({
  id: Type.String(),
  object: Type.Literal('request'),
  at_ms: milliseconds,
  model: Type.String(),
  tenant: nullable(Type.String()),
  session: nullable(Type.String()),
  /** The dialect: the last word of the route that it came by. */
  route: Type.String(),
  status: StatusSchema,
  /** Code of what it failed with; null: it did not, or the client went away. */
  error: nullable(Type.String()),
  prompt_tokens: nullable(count),
  generated_tokens: nullable(count),
  /** What was planned; null where it came to no plan. */
  plan: nullable(
    Type.Object({
      matched_tokens: count,
      compute_from: count,
      /** What was expected, by the rates of then; null where too little was measured. */
      restore_ms: nullable(milliseconds),
      prefill_ms: nullable(milliseconds),
    }),
  ),
  /** What the engine confirmed; null where it confirmed nothing. */
  cache: nullable(CacheObjectSchema),
})

export const RequestListSchema = Type.Object({
  object: Type.Literal('list'),
  data: Type.Array(RequestSchema),
  /** Goes into `cursor` of the next request; null on the last page. */
  next_cursor: nullable(count),
})

/* ---------- GET /v1/cache/totals ---------- */

export const TotalsQuerySchema = exactly({
  since_ms: Type.Optional(wholeNumber(', how many milliseconds ago the totals begin')),
})

const totals = {
  requests: count,
  hit: count,
  partial: count,
  miss: count,
  bypass: count,
  failed: count,
  prompt_tokens: count,
  restored_ram_tokens: count,
  restored_ssd_tokens: count,
  computed_tokens: count,
  saved_tokens: count,
  generated_tokens: count,
  saved_prefill_ms: milliseconds,
  ssd_written_bytes: count,
  ssd_read_bytes: count,
}

export const TotalsReportSchema = Type.Object({
  /** The beginning of the first hour that is counted, or of the first day. */
  from_ms: milliseconds,
  to_ms: milliseconds,
  totals: Type.Object(totals),
  models: Type.Array(Type.Object({ model: Type.String(), ...totals })),
  /** Days of UTC, as `2026-11-26`; the first one only from `from_ms` on. */
  days: Type.Array(Type.Object({ day: Type.String(), ...totals })),
})

/* ---------- GET /v1/cache/advise ---------- */

export const AdviceSchema = Type.Object({
  from_ms: milliseconds,
  to_ms: milliseconds,
  /** For each tier, rising; none: more room would have served nothing more. */
  steps: Type.Array(AdviceStepSchema),
  /** The least that would have served most of it; null: none would. */
  best: nullable(AdviceStepSchema),
})

export type AdviceJson = Static<typeof AdviceSchema>
export type RequestJson = Static<typeof RequestSchema>
export type RequestListJson = Static<typeof RequestListSchema>
export type RequestQueryString = Static<typeof RequestQuerySchema>
export type TotalsJson = TotalsReportJson['totals']
export type TotalsReportJson = Static<typeof TotalsReportSchema>

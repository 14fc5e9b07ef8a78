/** The JSON of `/v1/cache/budgets`. */
import { type Static, Type } from 'typebox'
import { limits } from '../../config/limits.ts'
import { count, exactly, nullable } from './values.ts'

const tier = {
  budget_bytes: count,
  /** What the setting said when the service started. */
  at_start_bytes: count,
  /** More than the budget only while it shrinks. */
  used_bytes: count,
  /** What it has of the system: memory, or a file. */
  held_bytes: count,
  shrinking: Type.Boolean(),
  /** Null unless something keeps it from shrinking. */
  waits_for: nullable(
    Type.Union([Type.Literal('in_use'), Type.Literal('kept'), Type.Literal('writes')]),
  ),
}

const shareOf = Type.Object({
  used_bytes: count,
  /** Null: there is no limit. */
  most_bytes: nullable(count),
})

/** Of each model and tenant that is named or holds something. */
export const SharesSchema = Type.Array(
  Type.Object({ name: Type.String(), ram: shareOf, ssd: shareOf }),
)

export const BudgetsSchema = Type.Object({
  object: Type.Literal('cache.budgets'),
  /** `most_bytes`: its memory was taken at the start, and never becomes more. */
  ram: Type.Object({ ...tier, most_bytes: count }),
  /** These two are null without an SSD tier. */
  ssd: nullable(Type.Object(tier)),
  ssd_writes_per_day: nullable(
    Type.Object({
      /** Null: there is no limit. */
      budget_bytes: nullable(count),
      at_start_bytes: nullable(count),
      /** Since midnight, UTC. */
      used_bytes: count,
    }),
  ),
  shares: SharesSchema,
  /** Who holds what, those with most first; without a tenant where no keys were in use. */
  holders: Type.Array(
    Type.Object({
      model: Type.String(),
      tenant: nullable(Type.String()),
      ram_bytes: count,
      ssd_bytes: count,
    }),
  ),
})

/** What is absent stays as it is. */
export const BudgetsRequestSchema = exactly(
  {
    ram_bytes: Type.Optional(count),
    ssd_bytes: Type.Optional(count),
    /** Null or 0: no limit. */
    ssd_writes_per_day_bytes: Type.Optional(nullable(count)),
    /** As the setting `share` has them, in place of all that there were. */
    shares: Type.Optional(Type.Array(Type.String({ minLength: 1 }), { maxItems: limits.shares })),
  },
  { minProperties: 1 },
)

export type BudgetsJson = Static<typeof BudgetsSchema>
export type BudgetsRequestJson = Static<typeof BudgetsRequestSchema>

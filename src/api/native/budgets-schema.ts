/** The JSON of `/v1/cache/budgets`. */
import { type Static, Type } from 'typebox'
import { count, nullable } from './values.ts'

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
})

/** What is absent stays as it is. */
export const BudgetsRequestSchema = Type.Object(
  {
    ram_bytes: Type.Optional(count),
    ssd_bytes: Type.Optional(count),
    /** Null or 0: no limit. */
    ssd_writes_per_day_bytes: Type.Optional(nullable(count)),
  },
  { minProperties: 1 },
)

export type BudgetsJson = Static<typeof BudgetsSchema>
export type BudgetsRequestJson = Static<typeof BudgetsRequestSchema>

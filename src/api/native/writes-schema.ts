/** The JSON of the SSD's wear and of its file system: parts of `/v1/cache/stats`. See schema.ts. */
import { type Static, Type } from 'typebox'
import { count, nullable } from './values.ts'

export const SsdWritesSchema = Type.Object({
  /** Most bytes in 24 hours; null: there is no limit. */
  per_day_bytes: nullable(count),
  /** What may be written at once now; null: there is no limit. */
  left_bytes: nullable(count),
  /** Since midnight, UTC. */
  today_bytes: count,
  /** What has had to wait since midnight: it stays in RAM, and may go later. */
  refused_today_bytes: count,
  /** The wear, by what the last 30 days have seen. */
  mean_per_day_bytes: count,
  projected_per_year_bytes: count,
  /** How often all of the tier would be written in a day. */
  tier_writes_per_day: Type.Number(),
})

export const SsdDiskSchema = Type.Object({
  state: Type.Union([
    Type.Literal('enough'),
    /** The tier grows no further. */
    Type.Literal('no_growth'),
    /** Nothing is written to the tier: what is computed stays in RAM. */
    Type.Literal('no_writes'),
  ]),
  /** When it was last looked at; null: not yet. */
  free_bytes: nullable(count),
  /** With so much free it goes on; null where nothing is held up. */
  resumes_at_bytes: nullable(count),
})

export type SsdWritesJson = Static<typeof SsdWritesSchema>

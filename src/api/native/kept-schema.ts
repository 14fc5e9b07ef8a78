/** Why a prefix is kept, in the JSON of `/v1/cache/prefixes/{id}`. */
import { Type } from 'typebox'
import { count, milliseconds, nullable } from './values.ts'

export const keptFields = {
  /** Who keeps it from eviction, the longest first; empty: it goes when its room is needed. */
  kept_because: Type.Array(
    Type.Object({
      /** A request uses it; a pin; a client's wish for a time; a session's for a copy in RAM. */
      reason: Type.Union([
        Type.Literal('request'),
        Type.Literal('pin'),
        Type.Literal('lifetime'),
        Type.Literal('session'),
      ]),
      /** Of which prefix that was asked; it may stand behind this one. */
      prefix: Type.String(),
      /** Null: nobody knows, or until it is unpinned. */
      until_ms: nullable(milliseconds),
    }),
  ),
  /** Requests that have used it lately; 0 with `--eviction lru`, which does not count them. */
  recent_uses: count,
  /** How many times as long as others it may lie idle before it goes. */
  idle_weight: Type.Number({ minimum: 0 }),
}

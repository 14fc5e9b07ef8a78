/** The JSON of `GET /v1/cache/events`: vLLM's names, and one of our own. */
import { type Static, Type } from 'typebox'

const count = Type.Integer({ minimum: 0 })
const Hashes = Type.Array(Type.String())

const moved = {
  at_ms: count,
  medium: Type.Union([Type.Literal('ram'), Type.Literal('ssd')]),
  kind: Type.Union([Type.Literal('kv'), Type.Literal('window'), Type.Literal('state')]),
  model: Type.String(),
  block_hashes: Hashes,
}

export const CacheEventSchema = Type.Union([
  Type.Object({
    type: Type.Literal('BlockStored'),
    ...moved,
    /** Of the first block; null where it begins a prompt. */
    parent_block_hash: Type.Union([Type.String(), Type.Null()]),
    /** Of all these blocks. */
    token_count: count,
  }),
  Type.Object({ type: Type.Literal('BlockRemoved'), ...moved }),
  Type.Object({ type: Type.Literal('AllBlocksCleared'), at_ms: count }),
  /** So many events came faster than this client took them. */
  Type.Object({ type: Type.Literal('EventsMissed'), at_ms: count, count }),
])

export type CacheEventJson = Static<typeof CacheEventSchema>

/**
 * What was found at start gets the cost of computing it again as soon as the speed of its model is
 * known. Until then blocks of a slow model go as soon as those of a fast one.
 */
import { type Keeper, useKeyOf } from './keeper.ts'
import { type CachedRecord, isGone } from './prefix-index.ts'
import type { TierOrder } from './record-order.ts'
import { freshKeepClass } from './retention.ts'
import type { Namespace } from './types.ts'

export interface ReckonHost {
  readonly keeper: Keeper
  readonly ram: { readonly order: TierOrder }
  readonly ssd: { readonly order: TierOrder } | null
}

export interface ReckonOptions {
  /** Are these blocks the model's? */
  readonly isOwn: (namespace: Namespace) => boolean
  readonly prefillTokensPerMs: number
  /** Lets others go first. */
  readonly turn: () => Promise<void>
}

const recordsPerTurn = 500

/**
 * Blocks that a request has used meanwhile are left out: their cost is known better. From the
 * newest to the oldest, each at the old end of its new class: what was used since is newer.
 */
export async function reckon(host: ReckonHost, options: ReckonOptions): Promise<void> {
  const { keeper, ram, ssd } = host
  const { isOwn, prefillTokensPerMs, turn } = options
  const isFound = ({ block }: CachedRecord): boolean =>
    block.keepClass === freshKeepClass && block.leases === 0 && isOwn(block.namespace)
  const found = ssd?.order.rows.lists.flatMap((list) => list.newestOf(isFound)) ?? []
  for (const [at, record] of found.entries()) {
    if (at > 0 && at % recordsPerTurn === 0) await turn()
    const { block, sizeBytes } = record
    if (isGone(record) || !isFound(record)) continue
    const recomputeMs = block.tokenCount / prefillTokensPerMs
    keeper.reckon(block, { key: useKeyOf(block.hash), sizeBytes, recomputeMs })
    ram.order.reclass(record)
    ssd?.order.reclass(record)
  }
}

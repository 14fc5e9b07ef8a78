/** Why a prefix is not evicted, in words that do not change with the cache's own. */
import { type Cache, type CachedBlock, prefixIdOf } from '../../cache/index.ts'
import type { KeptBecause, PrefixDetail } from './types.ts'

const reasons = { pin: 'pin', hint: 'lifetime', 'ram hint': 'session' } as const

export function keptBecause(
  cache: Cache,
  block: CachedBlock,
): Pick<PrefixDetail, 'keptBecause' | 'recentUses' | 'idleWeight'> {
  const inUse: KeptBecause[] =
    block.leases === 0 ? [] : [{ reason: 'request', prefix: prefixIdOf(block), untilMs: null }]
  const wishes = cache.keeping.reasonsFor(block).map(({ purpose, hash, untilMs }) => ({
    reason: reasons[purpose],
    prefix: prefixIdOf({ hash }),
    untilMs,
  }))
  const { uses, weight } = cache.standingOf(block)
  return { keptBecause: [...inUse, ...wishes], recentUses: uses, idleWeight: weight }
}

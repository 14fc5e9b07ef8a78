/**
 * What operators ask of the cache: statistics, prefixes, eviction. Text and models come in here.
 */
import {
  type Cache,
  type CachedBlock,
  type CachedRecord,
  describeBlocks,
  describePrefix,
  findByBeginning,
  isLeaf,
  leavesOf,
  type Namespace,
  type PrefixInfo,
  prefixIdOf,
  type RecordKind,
  type TierName,
  uniqueRun,
  withDescendants,
} from '../../cache/index.ts'
import type { Fingerprint } from '../../engines/index.ts'
import type { TotalsLog } from '../catalog/types.ts'
import { limits } from '../config/limits.ts'
import { PrefixdError } from '../errors.ts'
import { mismatches } from './namespace-note.ts'
import type {
  CacheAdmin,
  CacheStats,
  EvictReport,
  EvictSelector,
  PrefixDetail,
  PrefixPage,
  PrefixQuery,
  PrefixSummary,
} from './types.ts'

export interface AdminContext {
  readonly cache: Cache
  readonly totals: TotalsLog
  /** Name of the model that a namespace belongs to. */
  readonly modelOf: (namespace: Namespace) => string
  /** Name of the tenant whose key stored it; null where no keys were in use. */
  readonly tenantOf: (namespace: Namespace) => string | null
  /** What the layout of its model has; rows alone where nobody knows. */
  readonly kindsOf: (namespace: Namespace) => readonly RecordKind[]
  /** Of the worker that has stored it; null: nobody knows. */
  readonly fingerprintOf: (namespace: Namespace) => Fingerprint | null
  /** Of the worker that serves this model now; null: none does, or it is not ready yet. */
  readonly servedBy: (model: string) => Fingerprint | null
  /** Sessions whose latest request ended at this prefix. */
  readonly sessionsAt: (prefix: string) => readonly string[]
  readonly now: () => number
  /** Figures that are not the cache's own. */
  readonly stats: () => Omit<
    CacheStats,
    'tiers' | 'prefixes' | 'blocks' | 'corruptBlocks' | 'failedWrites'
  >
}

/** Enough to tell "unique" from "ambiguous" and to name a few of the ambiguous ones. */
const mostCandidates = 4

const orders: Record<PrefixQuery['sort'], (a: PrefixInfo, b: PrefixInfo) => number> = {
  last: (a, b) => b.lastUsedAtMs - a.lastUsedAtMs,
  size: (a, b) => b.sizeBytes - a.sizeBytes,
  hits: (a, b) => b.hits - a.hits,
  age: (a, b) => a.createdAtMs - b.createdAtMs,
  tokens: (a, b) => b.tokenCount - a.tokenCount,
}

export function createAdmin(context: AdminContext): CacheAdmin {
  const { cache, modelOf, kindsOf } = context

  const describe = (block: CachedBlock): PrefixInfo =>
    describePrefix(block, kindsOf(block.namespace))

  const summarise = (info: PrefixInfo): PrefixSummary => ({
    id: info.id,
    model: modelOf(info.namespace),
    namespace: info.namespace,
    tokens: info.tokenCount,
    restorableTokens: info.restorableTokens,
    durableTokens: info.durableTokens,
    sizeBytes: info.sizeBytes,
    uniqueBytes: info.uniqueBytes,
    tiers: info.tiers,
    hits: info.hits,
    createdAtMs: info.createdAtMs,
    lastUsedAtMs: info.lastUsedAtMs,
    leased: info.isLeased,
    tenant: context.tenantOf(info.namespace),
    sessions: context.sessionsAt(info.id),
  })

  function find(id: string): CachedBlock {
    const digits = id.toLowerCase()
    if (!/^[0-9a-f]{2,16}$/.test(digits)) {
      throw new PrefixdError(
        'PREFIXD_E_PREFIX_NOT_FOUND',
        `'${id}' is not a prefix id: it takes 2 to 16 hex digits.`,
        { field: 'id', next: 'See the ids with `prefixd ls`.' },
      )
    }
    const found = findByBeginning(cache.index, digits, mostCandidates)
    if (found.length === 0) {
      throw new PrefixdError('PREFIXD_E_PREFIX_NOT_FOUND', `No stored prefix begins with ${id}.`, {
        field: 'id',
        next: 'See the ids with `prefixd ls`.',
      })
    }
    if (found.length > 1) {
      const names = found.map(prefixIdOf).join(', ')
      throw new PrefixdError('PREFIXD_E_PREFIX_AMBIGUOUS', `${id} begins several ids: ${names}.`, {
        field: 'id',
        next: 'Give more digits.',
      })
    }
    return found[0] as CachedBlock
  }

  return {
    stats() {
      const { corruptBlocks, failedWrites } = cache.counters
      return {
        ...context.stats(),
        tiers: cache.usage(),
        prefixes: countPrefixes(cache),
        blocks: cache.index.blockCount,
        corruptBlocks,
        failedWrites,
      }
    },

    totals: (fromMs) => context.totals.since(fromMs),

    prefixes(query): PrefixPage {
      const infos = [...leavesOf(cache.index)]
        .map(describe)
        .filter((info) => query.model === undefined || modelOf(info.namespace) === query.model)
        .filter((info) => query.tier === undefined || info.tiers.includes(query.tier))
        .sort((a, b) => orders[query.sort](a, b) || (a.id < b.id ? -1 : 1))
      const after = infos.findIndex((info) => info.id === query.cursor)
      const page = infos.slice(after + 1, after + 1 + query.limit)
      const hasMore = after + 1 + page.length < infos.length
      return {
        prefixes: page.map(summarise),
        total: infos.length,
        nextCursor: hasMore ? (page.at(-1)?.id ?? null) : null,
      }
    },

    prefix(id): PrefixDetail {
      const block = find(id)
      const info = describe(block)
      return {
        ...summarise(info),
        ...origin(context, info.namespace),
        reclaimableBytes: info.isLeased ? 0 : info.uniqueBytes,
        blocks: describeBlocks(cache.index, block, kindsOf(block.namespace)).map((item) => ({
          hash: item.block.hash,
          from: item.from,
          to: item.to,
          sizeBytes: item.sizeBytes,
          tiers: item.tiers,
          sharedBy: item.sharedBy,
          grid: item.block.grid,
          // Where tokens leave no rows, their records are empty, and nothing to look at.
          kinds: item.block.records.flatMap(({ kind, sizeBytes }) => (sizeBytes > 0 ? [kind] : [])),
        })),
      }
    },

    verify: (repair, signal) => cache.verify({ repair, signal, yieldMs: limits.verifyYieldMs }),

    async evict(selector, dryRun): Promise<EvictReport> {
      const chosen = choose(context, selector, find).filter((block) =>
        isIn(cache, block, selector.tier ?? null),
      )
      const before = countPrefixes(cache)
      const report = (blocks: readonly CachedBlock[], prefixes: number, freed: Freed) => ({
        dryRun,
        blocks: blocks.length,
        prefixes,
        freedBytes: freed,
        keptBlocks: chosen.length - blocks.length,
      })
      const free = evictable(cache, chosen, selector.tier ?? null)
      const records = free.flatMap((block) => block.records)
      const there = sumBytes(cache, records)
      const freed = {
        ram: selector.tier === 'ssd' ? 0 : there.ram,
        ssd: selector.tier === 'ram' ? 0 : there.ssd,
      }
      if (dryRun) return report(free, prefixesGone(free, selector.tier), freed)
      const evicted = await cache.evict(free, selector.tier ?? null)
      const left = sumBytes(cache, records)
      const gone = { ram: there.ram - left.ram, ssd: there.ssd - left.ssd }
      return report(evicted, Math.max(0, before - countPrefixes(cache)), gone)
    },
  }
}

function origin(
  { modelOf, fingerprintOf, servedBy }: AdminContext,
  namespace: Namespace,
): Pick<PrefixDetail, 'storedBy' | 'mismatches'> {
  const stored = fingerprintOf(namespace)
  const served = servedBy(modelOf(namespace))
  return {
    storedBy: stored === null ? null : `${stored.engine}: ${stored.build}`,
    mismatches: stored === null || served === null ? [] : mismatches(stored, served),
  }
}

type Freed = { ram: number; ssd: number }

/** Chosen blocks, children before parents. An id takes along what only this prefix uses. */
function choose(
  { cache, modelOf, kindsOf, now }: AdminContext,
  selector: EvictSelector,
  find: (id: string) => CachedBlock,
): CachedBlock[] {
  const { index } = cache
  if (selector.ids !== undefined) {
    const chosen = selector.ids.map(find)
    return withDescendants(
      index,
      chosen.flatMap((block) => uniqueRun(block, kindsOf(block.namespace))),
    )
  }
  const all = withDescendants(index, index.blocks())
  if (selector.model !== undefined) {
    return all.filter((block) => modelOf(block.namespace) === selector.model)
  }
  if (selector.olderThanMs !== undefined) {
    const before = now() - selector.olderThanMs
    return all.filter((block) => block.lastUsedAtMs < before)
  }
  return all
}

/** Has the tier a copy of this block? Null: any tier. */
function isIn(cache: Cache, block: CachedBlock, tier: TierName | null): boolean {
  return tier === null || block.records.some((record) => cache.bytesIn(tier, record) > 0)
}

/** What is not in use, and has no child that must stay. */
function evictable(
  cache: Cache,
  chosen: readonly CachedBlock[],
  tier: TierName | null,
): CachedBlock[] {
  const free = new Set<CachedBlock>()
  for (const block of chosen) {
    if (cache.isInUse(block)) continue
    const childStays = tier === null && [...block.children].some((child) => !free.has(child))
    if (!childStays) free.add(block)
  }
  return [...free]
}

function sumBytes(cache: Cache, records: readonly CachedRecord[]): Freed {
  const sum: Freed = { ram: 0, ssd: 0 }
  for (const record of records) {
    sum.ram += cache.bytesIn('ram', record)
    sum.ssd += cache.bytesIn('ssd', record)
  }
  return sum
}

function prefixesGone(blocks: readonly CachedBlock[], tier?: 'ram' | 'ssd'): number {
  const isLast = (block: CachedBlock) =>
    tier === undefined ||
    block.records.every((record) =>
      tier === 'ram' ? record.ssd !== 'stored' : record.extent === null,
    )
  return blocks.filter((block) => isLeaf(block) && isLast(block)).length
}

function countPrefixes(cache: Cache): number {
  let count = 0
  for (const _ of leavesOf(cache.index)) count++
  return count
}

/**
 * What operators ask of the cache: statistics, prefixes, eviction. Text and models come in here.
 */
import {
  type Cache,
  type CachedBlock,
  describeBlocks,
  describePrefix,
  leavesOf,
  type Namespace,
  type PrefixInfo,
  type RecordKind,
  verify as verifyStored,
} from '../../cache/index.ts'
import type { Fingerprint } from '../../engines/index.ts'
import type { Catalog, PinStore, PrefixRecord } from '../catalog/types.ts'
import { limits } from '../config/limits.ts'
import { PrefixdError, shown } from '../errors.ts'
import { countPrefixes, type EvictContext, evict, reclaimableBytes } from './evict.ts'
import { findPrefix } from './find-prefix.ts'
import { keptBecause } from './kept-because.ts'
import { mismatches } from './namespace-note.ts'
import { createPins } from './pins.ts'
import type {
  CacheAdmin,
  CacheStats,
  PrefixDetail,
  PrefixPage,
  PrefixQuery,
  PrefixSummary,
} from './types.ts'

export interface AdminContext {
  readonly cache: Cache
  readonly catalog: Pick<Catalog, 'totals' | 'ghosts' | 'prefixes'>
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
  readonly endsOf: EvictContext['endsOf']
  readonly servedAs: EvictContext['servedAs']
  readonly pinStore: PinStore
  readonly warn: (message: string, error: unknown) => void
  readonly now: () => number
  /** Figures that are not the cache's own. */
  readonly stats: () => Omit<
    CacheStats,
    | 'tiers'
    | 'prefixes'
    | 'blocks'
    | 'corruptBlocks'
    | 'failedWrites'
    | 'refusedWrites'
    | 'advice'
    | 'ssdWrites'
    | 'ssdDisk'
  >
}

const orders: Record<PrefixQuery['sort'], (a: PrefixInfo, b: PrefixInfo) => number> = {
  last: (a, b) => b.lastUsedAtMs - a.lastUsedAtMs,
  size: (a, b) => b.sizeBytes - a.sizeBytes,
  hits: (a, b) => b.hits - a.hits,
  age: (a, b) => a.createdAtMs - b.createdAtMs,
  tokens: (a, b) => b.tokenCount - a.tokenCount,
}

type PinnedUntil = ReadonlyMap<CachedBlock, number | null>

export function createAdmin(context: AdminContext): CacheAdmin {
  const { cache, modelOf, kindsOf } = context

  const find = (id: string, field?: string): CachedBlock => findPrefix(cache.index, id, field)

  const describe = (block: CachedBlock): PrefixInfo =>
    describePrefix(block, kindsOf(block.namespace))

  const summarise = (info: PrefixInfo, pinnedUntil: PinnedUntil): PrefixSummary => ({
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
    pinned: pinnedUntil.has(info.leaf),
    pinnedUntilMs: pinnedUntil.get(info.leaf) ?? null,
    tenant: context.tenantOf(info.namespace),
    sessions: context.sessionsAt(info.id),
    ...known(context.catalog.prefixes.find(info.leaf.hash)),
  })

  const pins = createPins({ ...context, store: context.pinStore, find })

  return {
    stats() {
      return {
        ...context.stats(),
        tiers: cache.usage(),
        prefixes: countPrefixes(cache),
        blocks: cache.index.blockCount,
        ...cache.counters,
        advice: context.catalog.ghosts.advice().best,
        ssdWrites: cache.ssdWrites(),
        ssdDisk: cache.disk?.usage ?? null,
      }
    },

    advice: () => context.catalog.ghosts.advice(),

    totals: (fromMs) => context.catalog.totals.since(fromMs),

    prefixes(query): PrefixPage {
      const infos = [...leavesOf(cache.index)]
        .map(describe)
        .filter((info) => query.model === undefined || modelOf(info.namespace) === query.model)
        .filter((info) => query.tier === undefined || info.tiers.includes(query.tier))
        .sort((a, b) => orders[query.sort](a, b) || (a.id < b.id ? -1 : 1))
      const after = infos.findIndex((info) => info.id === query.cursor)
      if (query.cursor !== undefined && after < 0) throw lostCursor(query.cursor)
      const page = infos.slice(after + 1, after + 1 + query.limit)
      const pinnedUntil = cache.keeping.pinnedUntil()
      const hasMore = after + 1 + page.length < infos.length
      return {
        prefixes: page.map((info) => summarise(info, pinnedUntil)),
        total: infos.length,
        nextCursor: hasMore ? (page.at(-1)?.id ?? null) : null,
      }
    },

    prefix(id): PrefixDetail {
      const block = find(id)
      const info = describe(block)
      return {
        ...summarise(info, cache.keeping.pinnedUntil()),
        ...origin(context, info.namespace),
        ...keptBecause(cache, block),
        reclaimableBytes: reclaimableBytes(cache, kindsOf(block.namespace), block),
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

    verify: (repair, signal) =>
      verifyStored(cache.upkeep, { repair, signal, yieldMs: limits.verifyYieldMs }),

    pins: () => pins.list(),
    pin: (id, ttlMs) => pins.pin(id, ttlMs),
    unpin: (id) => pins.unpin(id),
    evict: (selector, options) => evict({ ...context, pins, find }, selector, options),
  }
}

/** What it named may have gone since; the first page would come again in the place of the next. */
const lostCursor = (cursor: string): PrefixdError =>
  new PrefixdError(
    'PREFIXD_E_INVALID_VALUE',
    'cursor must be next_cursor of the page before, while that prefix is stored; ' +
      `'${shown(cursor)}' is not.`,
    { field: 'cursor', next: 'Begin again without a cursor.' },
  )

const known = (noted: PrefixRecord | null): Pick<PrefixSummary, 'grownFrom' | 'label'> => ({
  grownFrom: noted?.grownFrom?.slice(0, 12) ?? null,
  label: noted?.label ?? null,
})

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

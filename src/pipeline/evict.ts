/** What operators take out of the cache: chosen, previewed, freed, and reported as it went. */
import {
  type Cache,
  type CachedBlock,
  type CachedRecord,
  isLeaf,
  leavesOf,
  type Namespace,
  type RecordKind,
  type TierName,
  uniqueRun,
  withDescendants,
} from '../../cache/index.ts'
import { PrefixdError, shown } from '../errors.ts'
import type { Pins } from './pins.ts'
import type { EvictOptions, EvictReport, EvictSelector } from './types.ts'

export interface EvictContext {
  readonly cache: Cache
  readonly pins: Pick<Pins, 'forget'>
  readonly modelOf: (namespace: Namespace) => string
  readonly tenantOf: (namespace: Namespace) => string | null
  readonly kindsOf: (namespace: Namespace) => readonly RecordKind[]
  /** Throws where an id names no prefix, or several; it names the field. */
  readonly find: (id: string, field: string) => CachedBlock
  /** Id of the served model that answers to this name. */
  readonly servedAs: (name: string) => string | null
  /** Prefixes at which the latest requests of this session ended, of every tenant. */
  readonly endsOf: (session: string) => readonly string[]
  readonly now: () => number
}

export async function evict(
  context: EvictContext,
  selector: EvictSelector,
  { dryRun, force }: EvictOptions,
): Promise<EvictReport> {
  const { cache, pins } = context
  const { tier = null } = selector
  const chosen = choose(context, selector).filter((block) => isIn(cache, block, tier))
  const isPinned = (block: CachedBlock) => !force && isKeptThere(cache, block, tier)
  const free = evictable(cache, chosen, tier, isPinned)
  const records = free.flatMap((block) => block.records)
  const there = sumBytes(cache, records)
  const pinnedBlocks = chosen.filter(isPinned).length
  const report = { dryRun, pinnedBlocks }
  if (dryRun) {
    const freedBytes = { ram: tier === 'ssd' ? 0 : there.ram, ssd: tier === 'ram' ? 0 : there.ssd }
    const keptBlocks = chosen.length - free.length - pinnedBlocks
    const prefixes = prefixesGone(free, tier)
    return { ...report, blocks: free.length, prefixes, freedBytes, keptBlocks }
  }
  if (force) {
    const pinned = new Set(free.filter((block) => isKeptThere(cache, block, tier)))
    await pins.forget(cache.keeping.pinsOf(pinned))
  }
  const before = countPrefixes(cache)
  const evicted = await cache.evict(free, tier)
  const left = sumBytes(cache, records)
  return {
    ...report,
    blocks: evicted.length,
    prefixes: Math.max(0, before - countPrefixes(cache)),
    freedBytes: { ram: there.ram - left.ram, ssd: there.ssd - left.ssd },
    keptBlocks: chosen.length - evicted.length - pinnedBlocks,
  }
}

/** What evicting this prefix would free now, whichever tiers have it. */
export function reclaimableBytes(cache: Cache, kinds: readonly RecordKind[], block: CachedBlock) {
  const chosen = withDescendants(cache.index, uniqueRun(block, kinds))
  const free = evictable(cache, chosen, null, (each) => cache.keeping.isPinned(each))
  return free.flatMap(({ records }) => records).reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
}

/** Chosen blocks, children before parents. An id takes along what only this prefix uses. */
function choose(context: EvictContext, selector: EvictSelector): CachedBlock[] {
  const { cache, kindsOf, find, now } = context
  const { index } = cache
  const { session } = selector
  const ids = session === undefined ? selector.ids : context.endsOf(session)
  if (ids !== undefined) {
    const found = ids.map((id, at) => find(id, session === undefined ? `ids[${at}]` : 'session'))
    const runs = found.flatMap((block) => uniqueRun(block, kindsOf(block.namespace)))
    return withDescendants(index, runs)
  }
  const all = withDescendants(index, index.blocks())
  const namespaces = namespacesOf(context, selector)
  if (namespaces !== null) return all.filter((block) => namespaces.has(block.namespace))
  const { olderThanMs } = selector
  if (olderThanMs === undefined) return all
  return all.filter((block) => block.lastUsedAtMs < now() - olderThanMs)
}

/**
 * Those of the model, the tenant or the namespace that was named; null: none was. A name is known
 * for as long as its namespaces are noted, stored or not: what is asked for again and again must
 * not fail because it was done already. Throws for any other name, which is a slip.
 */
function namespacesOf(
  context: EvictContext,
  { model, tenant, namespace }: EvictSelector,
): ReadonlySet<Namespace> | null {
  const { cache, modelOf, tenantOf, servedAs } = context
  const stored = [...cache.index.roots()].map((root) => root.namespace)
  const noted = new Set([...cache.notes.keys(), ...stored])
  const those = (isMeant: (each: Namespace) => boolean) => new Set([...noted].filter(isMeant))
  if (model !== undefined) {
    const served = servedAs(model)
    const own = those((each) => modelOf(each) === (served ?? model))
    if (own.size === 0 && served === null) throw unknownModel(model)
    return own
  }
  if (tenant !== undefined) {
    const own = those((each) => tenantOf(each) === tenant)
    if (own.size === 0) throw unknownName('tenant', tenant)
    return own
  }
  if (namespace === undefined) return null
  const own = those((each) => each === namespace)
  if (own.size === 0) throw unknownName('namespace', namespace)
  return own
}

const unknownModel = (model: string): PrefixdError =>
  new PrefixdError(
    'PREFIXD_E_MODEL_NOT_FOUND',
    `Nothing is stored of a model '${shown(model)}', and none of this name is served.`,
    { field: 'model', next: 'See the models of what is stored with `prefixd ls`.' },
  )

const unknownName = (field: 'tenant' | 'namespace', name: string): PrefixdError =>
  new PrefixdError(
    'PREFIXD_E_PREFIX_NOT_FOUND',
    `Nothing was stored of a ${field} '${shown(name)}'.`,
    { field, next: `See the ${field}s of what is stored with \`prefixd ls --json\`.` },
  )

/** Has the tier a copy of this block? Null: any tier. */
function isIn(cache: Cache, block: CachedBlock, tier: TierName | null): boolean {
  return tier === null || block.records.some((record) => cache.bytesIn(tier, record) > 0)
}

/** Would a pin lose something with this block's copies there? */
function isKeptThere({ keeping }: Cache, block: CachedBlock, tier: TierName | null): boolean {
  const isLost = tier !== 'ram' || block.records.some(({ ssd }) => ssd !== 'stored')
  return isLost && keeping.isPinned(block)
}

/** What is neither in use nor pinned, and has no child that must stay. */
function evictable(
  cache: Cache,
  chosen: readonly CachedBlock[],
  tier: TierName | null,
  isPinned: (block: CachedBlock) => boolean,
): CachedBlock[] {
  const free = new Set<CachedBlock>()
  for (const block of chosen) {
    if (cache.isInUse(block) || isPinned(block)) continue
    const childStays = tier === null && [...block.children].some((child) => !free.has(child))
    if (!childStays) free.add(block)
  }
  return [...free]
}

type Freed = { ram: number; ssd: number }

export function sumBytes(cache: Cache, records: readonly CachedRecord[]): Freed {
  const sum: Freed = { ram: 0, ssd: 0 }
  for (const record of records) {
    sum.ram += cache.bytesIn('ram', record)
    sum.ssd += cache.bytesIn('ssd', record)
  }
  return sum
}

function prefixesGone(blocks: readonly CachedBlock[], tier: TierName | null): number {
  const isLast = (block: CachedBlock) =>
    tier === null ||
    block.records.every((record) =>
      tier === 'ram' ? record.ssd !== 'stored' : record.extent === null,
    )
  return blocks.filter((block) => isLeaf(block) && isLast(block)).length
}

export function countPrefixes(cache: Cache): number {
  let count = 0
  for (const _ of leavesOf(cache.index)) count++
  return count
}

/**
 * What people ask of a cache: which prefixes are stored, what they cost and what they share.
 *
 * A prefix is a chain from the start of a prompt to a leaf, with the places on its way that were
 * cut out for what is exact there. Reads the index only; O(blocks). `kinds` are those that the
 * prefix's layout has: where they are more than rows, rows alone restore nothing.
 */
import { boundaryKindsOf } from './boundaries.ts'
import { hasBoundary, isBoundary } from './boundary-match.ts'
import { prefixIdOf } from './lease.ts'
import { type CachedBlock, type CachedRecord, isBlock, type PrefixIndex } from './prefix-index.ts'
import type { Namespace, PrefixId, RecordKind, TierName } from './types.ts'

export interface PrefixInfo {
  readonly id: PrefixId
  readonly leaf: CachedBlock
  readonly namespace: Namespace
  readonly tokenCount: number
  /** The deepest token that a prompt can go on from; 0: all that is stored of it is of no use. */
  readonly restorableTokens: number
  /** As much of it as the SSD has on its own: what a restart keeps. */
  readonly durableTokens: number
  readonly sizeBytes: number
  /** Bytes that no other prefix shares: what evicting this one frees. */
  readonly uniqueBytes: number
  /** Tiers that have at least one of its blocks. */
  readonly tiers: readonly TierName[]
  readonly hits: number
  readonly createdAtMs: number
  readonly lastUsedAtMs: number
  readonly isLeased: boolean
}

export interface BlockInfo {
  readonly block: CachedBlock
  readonly from: number
  readonly to: number
  readonly sizeBytes: number
  readonly tiers: readonly TierName[]
  /** Prefixes that this block is a part of. */
  readonly sharedBy: number
}

/** From the first block of the prompt to this one. */
export function chainOf(block: CachedBlock): CachedBlock[] {
  const chain = [block]
  let parent = block.parent
  while (isBlock(parent)) {
    chain.unshift(parent)
    parent = parent.parent
  }
  return chain
}

const sizeOf = (block: CachedBlock): number =>
  block.records.reduce((sum, record) => sum + record.sizeBytes, 0)

const isOnSsd = (record: CachedRecord): boolean => record.ssd === 'stored'

function tiersOf(blocks: readonly CachedBlock[]): TierName[] {
  const records = blocks.flatMap((block) => block.records)
  const tiers: TierName[] = []
  if (records.some((record) => record.extent !== null)) tiers.push('ram')
  if (records.some(isOnSsd)) tiers.push('ssd')
  return tiers
}

/**
 * A leaf is the end of a prefix, unless it was cut out of a longer block for what is exact at its
 * end: then it is a place on that block's way.
 */
export const isLeaf = (block: CachedBlock): boolean =>
  block.children.size === 0 &&
  !(hasBoundary(block) && block.parent.children.continuationOf(block) !== null)

type Kinds = readonly RecordKind[]

const hasPlaces = (kinds: Kinds): boolean => boundaryKindsOf({ kinds }).length > 0

/** Places on the way of this block, the nearest to its end first. */
const placesOn = (block: CachedBlock): CachedBlock[] =>
  [...block.parent.children.waysTo(block)].filter((it) => it !== block && hasBoundary(it))

/** In the order of their ends, as far as that is one. */
const membersOf = (leaf: CachedBlock, kinds: Kinds): CachedBlock[] =>
  chainOf(leaf).flatMap((block) =>
    hasPlaces(kinds) ? [...placesOn(block).reverse(), block] : [block],
  )

/** The deepest token that a prompt can go on from with the copies that `isThere` counts. */
function restorableTokens(
  leaf: CachedBlock,
  kinds: Kinds,
  isThere?: (record: CachedRecord) => boolean,
): number {
  const needed = boundaryKindsOf({ kinds })
  let from = 0
  let restorable = 0
  for (const block of chainOf(leaf)) {
    const ends = needed.length === 0 ? [block] : [block, ...placesOn(block)]
    const at = ends.find((it) => isBoundary(it, needed, isThere))
    if (at !== undefined) restorable = from + at.tokenCount
    // Nothing goes on behind rows that are missing.
    if (!isBoundary(block, [], isThere)) break
    from += block.tokenCount
  }
  return restorable
}

/** What goes when this prefix goes: from its end up to where others branch off. */
export function uniqueRun(leaf: CachedBlock, kinds: Kinds): CachedBlock[] {
  const run: CachedBlock[] = []
  const gone = new Set<CachedBlock>()
  for (let block = leaf; ; block = block.parent) {
    const added = hasPlaces(kinds) ? [block, ...placesBefore(block)] : [block]
    run.push(...added)
    for (const member of added) gone.add(member)
    if (!isBlock(block.parent)) return run
    for (const sibling of block.parent.children) if (!gone.has(sibling)) return run
  }
}

/** Places on the way of this block and of no other. */
function placesBefore(block: CachedBlock): CachedBlock[] {
  const { children } = block.parent
  const ways = new Set(children.waysTo(block))
  const isShared = (place: CachedBlock): boolean => {
    for (const next of children.continuationsOf(place)) if (!ways.has(next)) return true
    return false
  }
  return placesOn(block).filter((place) => !isShared(place))
}

export function describePrefix(leaf: CachedBlock, kinds: Kinds): PrefixInfo {
  const chain = chainOf(leaf)
  const members = membersOf(leaf, kinds)
  const unique = leaf.children.size === 0 ? uniqueRun(leaf, kinds) : []
  return {
    id: prefixIdOf(leaf),
    leaf,
    namespace: leaf.namespace,
    tokenCount: chain.reduce((sum, block) => sum + block.tokenCount, 0),
    restorableTokens: restorableTokens(leaf, kinds),
    durableTokens: restorableTokens(leaf, kinds, isOnSsd),
    sizeBytes: members.reduce((sum, block) => sum + sizeOf(block), 0),
    uniqueBytes: unique.reduce((sum, block) => sum + sizeOf(block), 0),
    tiers: tiersOf(members),
    hits: leaf.hits,
    createdAtMs: leaf.createdAtMs,
    lastUsedAtMs: leaf.lastUsedAtMs,
    isLeased: members.some((block) => block.leases > 0),
  }
}

export function* leavesOf(index: PrefixIndex): Generator<CachedBlock> {
  for (const block of index.blocks()) if (isLeaf(block)) yield block
}

/** Every block once, a place before the block on whose way it lies. */
export function describeBlocks(index: PrefixIndex, leaf: CachedBlock, kinds: Kinds): BlockInfo[] {
  let from = 0
  let depth = 0
  return membersOf(leaf, kinds).map((block) => {
    if (block.index > depth) from += (block.parent as CachedBlock).tokenCount
    depth = block.index
    const to = from + block.tokenCount
    const sharedBy = leavesBehind(index, block)
    return { block, from, to, sizeBytes: sizeOf(block), tiers: tiersOf([block]), sharedBy }
  })
}

/** Prefixes that have this block on their way. */
function leavesBehind(index: PrefixIndex, block: CachedBlock): number {
  // What goes on from a place stands beside it, not below.
  const isPlace = hasBoundary(block) && !isLeaf(block) && block.children.size === 0
  const tops = isPlace ? block.parent.children.continuationsOf(block) : [block]
  let count = 0
  for (const top of tops) for (const member of index.subtree(top)) if (isLeaf(member)) count++
  return count
}

/** Blocks whose hash begins with these hex digits; at most `limit`. */
export function findByBeginning(index: PrefixIndex, digits: string, limit: number): CachedBlock[] {
  const found: CachedBlock[] = []
  for (const block of index.blocks()) {
    if (found.length >= limit) break
    if (block.hash.startsWith(digits)) found.push(block)
  }
  return found
}

/** Everything below these blocks and themselves, children before parents, each once. */
export function withDescendants(index: PrefixIndex, blocks: Iterable<CachedBlock>): CachedBlock[] {
  const members = new Set<CachedBlock>()
  for (const block of blocks) for (const member of index.subtree(block)) members.add(member)
  return [...members].sort((a, b) => b.index - a.index)
}

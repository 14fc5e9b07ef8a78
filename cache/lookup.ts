/** What is stored of a prompt, in the words of the plan. Reads the index only. */
import {
  type BoundaryInput,
  boundaryExpectedAt,
  boundaryKindsOf,
  boundaryWhereLeft,
  isTooShort,
  type StoredBeginning,
} from './boundaries.ts'
import { cutToBoundary } from './boundary-match.ts'
import { cutBlocks } from './chain.ts'
import type { CacheListener } from './listener.ts'
import type { PlanBoundary, PlanInput, PlanMatch } from './plan.ts'
import {
  type BlockMatch,
  type CachedRecord,
  type PrefixIndex,
  recordOf,
  tierOf,
} from './prefix-index.ts'
import type { Block, Hash64, Layout, Namespace, RecordKind, TokenIds } from './types.ts'

export interface LookupRequest {
  readonly namespace: Namespace
  readonly tokens: TokenIds
  readonly layout: Layout
}

/** What a look-up needs beside the index: names of blocks, and what is remembered of some. */
export interface LookupMemory {
  readonly hash64: Hash64
  readonly whenEvicted: CacheListener['whenEvicted']
  readonly nowMs: number
}

export interface Found extends Pick<PlanInput, 'matches' | 'boundary' | 'evicted' | 'isDamaged'> {
  /** The blocks of `matches`. */
  readonly blocks: readonly BlockMatch[]
}

export const nothingFound: Found = { blocks: [], matches: [] }

/** `cuts` says where this prompt's boundaries would be, and how it is cut into blocks. */
export function lookUp(
  index: PrefixIndex,
  request: LookupRequest,
  cuts: BoundaryInput,
  memory: LookupMemory,
): Found {
  const { namespace, tokens, layout } = request
  const { blockTokens, reuse } = cuts
  const prompt = cutBlocks(memory.hash64, namespace, tokens, blockTokens)
  const stored = whole(index.match(namespace, tokens, prompt, reuse))
  const last = stored.at(-1)
  const isLeft = last !== undefined && isLeftBy(tokens, last, cuts)
  const planned = (match: BlockMatch) => planMatch(match, blockTokens, match !== last || isLeft)
  const kinds = boundaryKindsOf(layout)
  const gone = goneNext(index, request, { prompt, stored }, memory)
  if (kinds.length === 0) return { blocks: stored, matches: stored.map(planned), ...gone }
  const search = { root: index.root(namespace), tokens, blockTokens, reuse, kinds }
  const blocks = cutToBoundary(search, stored)
  const records = boundaryRecords(blocks.at(-1), kinds)
  const beginning = storedBeginning(longest(stored, blockTokens), cuts)
  const boundary = { records, ...beginning, goesOn: beginning.goesOn && isLeft }
  return { blocks, matches: blocks.map(planned), boundary, ...gone }
}

interface Walked {
  readonly prompt: readonly Block[]
  readonly stored: readonly BlockMatch[]
}

/** What was stored of the prompt behind what still is, and how it went the last time. */
function goneNext(
  index: PrefixIndex,
  { namespace, tokens }: LookupRequest,
  { prompt, stored }: Walked,
  memory: LookupMemory,
): Pick<Found, 'evicted' | 'isDamaged'> {
  const left = stored.findIndex(({ block }, at) => block.hash !== prompt[at]?.hash)
  const next = prompt.slice(left < 0 ? stored.length : left)
  const evicted = evictedOf(next, memory)
  const [first] = next
  if (first === undefined) return { evicted }
  const damagedAtMs = index.damage.whenSetAside({
    hash: first.hash,
    parent: prompt[prompt.length - next.length - 1]?.hash ?? index.root(namespace).hash,
    tokens: tokens.subarray(first.from, first.to),
    sharedTokens: left < 0 ? 0 : (stored[left]?.sharedTokens ?? 0),
  })
  const isDamaged = damagedAtMs !== null && damagedAtMs >= (evicted?.atMs ?? 0)
  return isDamaged ? { evicted: null, isDamaged } : { evicted }
}

/** Of the blocks that come next those that were evicted. */
function evictedOf(
  next: readonly Block[],
  { whenEvicted, nowMs }: LookupMemory,
): NonNullable<PlanInput['evicted']> | null {
  const first = next[0] && whenEvicted(next[0].hash)
  if (!first) return null
  const end = next.findIndex(({ hash }) => whenEvicted(hash) === null)
  const run = end < 0 ? next : next.slice(0, end)
  const tokenCount = run.reduce((sum, { from, to }) => sum + to - from, 0)
  const blocks = run.map(({ hash }) => hash)
  return { ...first, agoMs: nowMs - first.atMs, tokenCount, blocks }
}

/** The run of matches whose rows are still somewhere. */
function whole(found: readonly BlockMatch[]): readonly BlockMatch[] {
  const gap = found.findIndex(({ block }) => {
    const rows = recordOf(block, 'kv')
    return rows === undefined || tierOf(rows) === null
  })
  return gap < 0 ? found : found.slice(0, gap)
}

function planMatch(
  { block, sharedTokens }: BlockMatch,
  blockTokens: number,
  continues: boolean,
): PlanMatch {
  const record = recordOf(block, 'kv') as CachedRecord
  return {
    hash: block.hash,
    from: block.index * blockTokens,
    storedTokens: block.tokenCount,
    sharedTokens,
    sizeBytes: record.sizeBytes,
    tier: tierOf(record) ?? 'ssd',
    continues,
  }
}

/**
 * Does what is stored go on behind this match in another way than the prompt? With block reuse it
 * may go on as the prompt does and not be used all the same: in a tail, or off the grid.
 */
function isLeftBy(tokens: TokenIds, last: BlockMatch, cuts: BoundaryInput): boolean {
  const { block, sharedTokens } = last
  const { children, tokenCount } = block
  if (sharedTokens < tokenCount) return true
  if (cuts.reuse === 'token') return children.size > 0
  const rest = tokens.subarray(block.index * cuts.blockTokens + tokenCount)
  const next = children.longest(rest)
  if (next === null) return children.size > 0
  return next.sharedTokens < Math.min(next.item.tokenCount, rest.length)
}

/** How far the prompt's rows are stored, and whether others go on there. */
function longest(stored: readonly BlockMatch[], blockTokens: number): StoredBeginning {
  const last = stored.at(-1)
  if (last === undefined) return { matchedTokens: 0, goesOn: false }
  const { block, sharedTokens } = last
  const goesOn = sharedTokens < block.tokenCount || block.children.size > 0
  return { matchedTokens: block.index * blockTokens + sharedTokens, goesOn }
}

function storedBeginning(
  stored: StoredBeginning,
  cuts: BoundaryInput,
): Omit<PlanBoundary, 'records'> {
  if (isTooShort(stored, cuts)) {
    return { matchedTokens: 0, goesOn: false, expectedAt: 0, leftAt: 0 }
  }
  const expectedAt = boundaryExpectedAt(stored, cuts)
  return { ...stored, expectedAt, leftAt: boundaryWhereLeft(stored, cuts) }
}

function boundaryRecords(
  at: BlockMatch | undefined,
  kinds: readonly RecordKind[],
): PlanBoundary['records'] {
  if (at === undefined) return []
  return kinds.map((kind) => {
    const record = recordOf(at.block, kind) as CachedRecord
    return { kind, sizeBytes: record.sizeBytes, tier: tierOf(record) ?? 'ssd' }
  })
}

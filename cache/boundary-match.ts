/**
 * How far a prompt can be restored where a model needs more than rows: to the deepest stored
 * boundary of its beginning. Rows behind that are of no use.
 */
import {
  type BlockMatch,
  type CachedBlock,
  type CachedRecord,
  isBlock,
  recordOf,
  type TreeRoot,
  tierOf,
} from './prefix-index.ts'
import type { RecordKind, ReuseMode, TokenIds } from './types.ts'

export interface BoundarySearch {
  readonly root: TreeRoot
  readonly tokens: TokenIds
  readonly blockTokens: number
  readonly reuse: ReuseMode
  /** What a boundary has to have beside its rows. */
  readonly kinds: readonly RecordKind[]
}

const isAnywhere = (record: CachedRecord): boolean => tierOf(record) !== null

/** Is anything stored that is exact where the block ends? */
export const hasBoundary = (block: CachedBlock): boolean =>
  block.records.some(({ kind }) => kind !== 'kv')

/** Has it rows, and everything that the layout needs where it ends, in a tier that counts? */
export function isBoundary(
  block: CachedBlock,
  kinds: readonly RecordKind[],
  isThere: (record: CachedRecord) => boolean = isAnywhere,
): boolean {
  const isStored = (kind: RecordKind): boolean => {
    const record = recordOf(block, kind)
    return record !== undefined && isThere(record)
  }
  return isStored('kv') && kinds.every(isStored)
}

/**
 * `stored` is the longest stored beginning, block by block. Returns the blocks up to the deepest
 * boundary before the prompt's last token; empty when there is none.
 */
export function cutToBoundary(
  search: BoundarySearch,
  stored: readonly BlockMatch[],
): readonly BlockMatch[] {
  const { tokens, blockTokens, reuse, kinds } = search
  const lastUsable = tokens.length - 1
  const isWhole = ({ sharedTokens }: BlockMatch): boolean => sharedTokens === blockTokens
  const chain = stored.filter(isWhole)
  for (let depth = chain.length; depth >= 0; depth--) {
    const node = chain[depth - 1]?.block ?? search.root
    const from = depth * blockTokens
    if (reuse === 'token' && from < lastUsable) {
      const rest = tokens.subarray(from, Math.min(from + blockTokens - 1, lastUsable))
      const tail = deepestTail(node, rest, kinds)
      if (tail !== null) {
        return [...chain.slice(0, depth), { block: tail, sharedTokens: tail.tokenCount }]
      }
    }
    if (isBlock(node) && from <= lastUsable && isBoundary(node, kinds)) return chain.slice(0, depth)
  }
  return []
}

function deepestTail(
  node: CachedBlock | TreeRoot,
  rest: TokenIds,
  kinds: readonly RecordKind[],
): CachedBlock | null {
  for (const tail of node.children.beginningsOf(rest)) if (isBoundary(tail, kinds)) return tail
  return null
}

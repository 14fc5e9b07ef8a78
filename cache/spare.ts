/**
 * Which boundaries of a chain others replace nearly as well: dense near its end, where the next
 * turn goes on, and ever sparser before it.
 */
import { thinned } from './boundaries.ts'
import { hasBoundary } from './boundary-match.ts'
import { type CachedBlock, type CachedRecord, isBlock } from './prefix-index.ts'

export interface Boundary {
  readonly block: CachedBlock
  readonly position: number
}

/** Boundaries on the way to this block's end, rising, in tails beside its chain too. */
export function boundariesTo(leaf: CachedBlock, blockTokens: number): Boundary[] {
  const found: Boundary[] = []
  for (let block = leaf; ; block = block.parent) {
    for (const member of block.parent.children.waysTo(block)) {
      const position = member.index * blockTokens + member.tokenCount
      if (hasBoundary(member)) found.push({ block: member, position })
    }
    if (!isBlock(block.parent)) return found.reverse()
  }
}

/**
 * Marks those that go first when room is short. Where other prompts branch off, or more than the
 * next turn came back to, none is spare; nor at the positions that other sessions begin with.
 * Returns the records whose mark has changed.
 */
export function markSpare(
  boundaries: readonly Boundary[],
  shared: readonly number[],
): CachedRecord[] {
  const positions = boundaries.map(({ position }) => position)
  const kept = new Set([...thinned(positions, positions.at(-1) ?? 0), ...shared])
  const changed: CachedRecord[] = []
  for (const { block, position } of boundaries) {
    const isShared = block.children.size > 1 || block.hits > 1
    const isSpare = !kept.has(position) && !isShared
    for (const record of block.records) {
      if (record.kind === 'kv' || record.spare === isSpare) continue
      record.spare = isSpare
      changed.push(record)
    }
  }
  return changed
}

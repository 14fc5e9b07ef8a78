/**
 * Where records that are exact at one position only (`window`, `state`) are worth having. Pure.
 *
 * A model that needs them restores to such a boundary or not at all, so what is computed again
 * after a divergence is the distance to the last boundary before it.
 */
import type { Layout, RecordKind, ReuseMode } from './types.ts'

export interface BoundaryInput {
  readonly promptTokens: number
  readonly blockTokens: number
  /** Distance of the boundaries that nobody asked for; rounded up to whole blocks. */
  readonly boundaryTokens: number
  readonly reuse: ReuseMode
  /** Behind the messages of a chat, rising: prompts leave each other there. */
  readonly messageEnds: readonly number[]
}

/** The kinds that are exact at one position only; empty: this layout needs no boundaries. */
export function boundaryKindsOf({ kinds }: Pick<Layout, 'kinds'>): readonly RecordKind[] {
  return kinds.filter((kind) => kind !== 'kv')
}

/** Of each chain the last ones stay, however close they are. */
const denseCount = 4
/** Behind them one stays when the next kept one is this part of the way to the end ahead. */
const sparseness = 1 / 4

/** Dense near the end, ever sparser before it. `positions` rise, none is behind `end`. */
export function thinned(positions: readonly number[], end: number): number[] {
  const kept: number[] = []
  for (const position of positions.toReversed()) {
    const ahead = kept.at(-1)
    const isFar = ahead === undefined || ahead - position >= (end - position) * sparseness
    if (kept.length < denseCount || isFar) kept.push(position)
  }
  return kept.reverse()
}

/**
 * Positions of this prompt, rising, all before its last token, which is always computed: a repeated
 * prompt then computes nothing else. Every call that a boundary ends off the grid costs time, so of
 * many messages only the first, where new sessions leave the old ones, the last ones, and ever
 * fewer between them have one. With `block` reuse none is off the grid.
 */
export function boundariesToSave(input: BoundaryInput): number[] {
  const { promptTokens, blockTokens, reuse } = input
  const last = promptTokens - 1
  const step = Math.max(1, Math.ceil(input.boundaryTokens / blockTokens)) * blockTokens
  const positions = [last, last - (last % blockTokens)]
  for (let position = step; position <= last; position += step) positions.push(position)
  const inside = input.messageEnds.filter((position) => position <= last)
  positions.push(...inside.slice(0, 1), ...thinned(inside, promptTokens))
  const onGrid = (position: number): number =>
    reuse === 'block' ? position - (position % blockTokens) : position
  const wanted = new Set(positions.map(onGrid))
  return [...wanted].filter((position) => position > 0).sort((a, b) => a - b)
}

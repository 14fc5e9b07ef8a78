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
 * Calls are cut at multiples of so many tokens, and none gets shorter. llama.cpp's attention on a
 * CPU takes tokens in tiles of 64, a part of one as long as all of it, and a call of less than one
 * three times as long: behind 4,000 others 58 tokens take 1,900 ms, 64 take 640, 122 take 1,300.
 */
const tileTokens = 64

/** The boundary of a message that ends there; 0 or less: none. */
export function boundaryFor(
  messageEnd: number,
  { promptTokens, blockTokens, reuse }: Omit<BoundaryInput, 'boundaryTokens' | 'messageEnds'>,
): number {
  const isTiled = reuse === 'token' && blockTokens % tileTokens === 0
  const unit = isTiled ? tileTokens : blockTokens
  const latest = Math.min(messageEnd, promptTokens - 1 - unit)
  return latest - (latest % unit)
}

/**
 * Positions of this prompt, rising, all before its last token, which is always computed: a repeated
 * prompt then computes nothing else. Of many messages only the first, where new sessions leave the
 * old ones, the last ones, and ever fewer between them have one, less than a tile before their end.
 * With `block` reuse none is off the grid.
 */
export function boundariesToSave(input: BoundaryInput): number[] {
  const { promptTokens, blockTokens, reuse } = input
  const last = promptTokens - 1
  const step = Math.max(1, Math.ceil(input.boundaryTokens / blockTokens)) * blockTokens
  const positions = [last - (last % blockTokens)]
  if (reuse === 'token') positions.push(last)
  for (let position = step; position <= last; position += step) positions.push(position)
  const inside = input.messageEnds.filter((position) => position <= last)
  const wishes = new Set([...inside.slice(0, 1), ...thinned(inside, promptTokens)])
  for (const wish of wishes) positions.push(boundaryFor(wish, input))
  return [...new Set(positions)].filter((position) => position > 0).sort((a, b) => a - b)
}

/**
 * Where records that are exact at one position only (`window`, `state`) are worth having. Pure.
 *
 * A model that needs them restores to such a boundary or not at all, so what is computed again
 * after a divergence is the distance to the last boundary before it.
 */
import type { Layout, RecordKind, ReuseMode } from './types.ts'

/** Places of a prompt that others will probably share up to. */
export interface PromptMarks {
  /** Where the messages of a chat end, rising: prompts leave each other there. */
  readonly messageEnds: readonly number[]
  /** Where the client says so, in any order; the caller bounds their number. Absent: nowhere. */
  readonly breakpoints?: readonly number[]
}

export interface BoundaryInput extends PromptMarks {
  readonly promptTokens: number
  readonly blockTokens: number
  /** Distance of the boundaries that nobody asked for; rounded up to whole blocks. */
  readonly boundaryTokens: number
  readonly reuse: ReuseMode
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

/** Marks have their boundary at a multiple of so many tokens. */
function unitOf({ blockTokens, reuse }: Pick<BoundaryInput, 'blockTokens' | 'reuse'>): number {
  return reuse === 'token' && blockTokens % tileTokens === 0 ? tileTokens : blockTokens
}

const stepOf = ({ boundaryTokens, blockTokens }: BoundaryInput): number =>
  Math.max(1, Math.ceil(boundaryTokens / blockTokens)) * blockTokens

/** The last position that can be restored: before the last token, or at the end of a block. */
export function lastRestorable(
  cuts: Pick<BoundaryInput, 'promptTokens' | 'blockTokens' | 'reuse'>,
): number {
  const last = cuts.promptTokens - 1
  return cuts.reuse === 'token' ? last : last - (last % cuts.blockTokens)
}

/** The boundary of a mark there; 0 or less: none. */
export function boundaryFor(
  mark: number,
  { promptTokens, ...cuts }: Omit<BoundaryInput, 'boundaryTokens' | keyof PromptMarks>,
): number {
  const unit = unitOf(cuts)
  const latest = Math.min(mark, promptTokens - 1 - unit)
  return latest - (latest % unit)
}

/**
 * Positions of this prompt, rising, all before its last token, which is always computed: a repeated
 * prompt then computes nothing else. Of many messages only the first, where new sessions leave the
 * old ones, the last ones, and ever fewer between them have one, less than a tile before their end;
 * of the client's breakpoints every one. With `block` reuse none is off the grid.
 */
export function boundariesToSave(input: BoundaryInput): number[] {
  const { promptTokens, blockTokens, reuse } = input
  const last = promptTokens - 1
  const step = stepOf(input)
  const positions = [last - (last % blockTokens)]
  if (reuse === 'token') positions.push(last)
  for (let position = step; position <= last; position += step) positions.push(position)
  const isInside = (position: number): boolean => position <= last
  const ends = input.messageEnds.filter(isInside)
  const asked = (input.breakpoints ?? []).filter(isInside)
  const wishes = new Set([...ends.slice(0, 1), ...thinned(ends, promptTokens), ...asked])
  for (const wish of wishes) positions.push(boundaryFor(wish, input))
  return [...new Set(positions)].filter((position) => position > 0).sort((a, b) => a - b)
}

/** How much of a prompt has stored rows, and whether they go on there in another way. */
export interface StoredBeginning {
  readonly matchedTokens: number
  readonly goesOn: boolean
}

/**
 * Whoever stored this beginning saved a boundary from this position on, unless there was no room:
 * one that lies before it was not the last one. 0: none can be expected.
 */
export function boundaryExpectedAt(stored: StoredBeginning, input: BoundaryInput): number {
  const { promptTokens, reuse, messageEnds } = input
  const { matchedTokens, goesOn } = stored
  const usable = Math.min(matchedTokens, promptTokens - 1)
  if (usable <= 0) return 0
  const isWhole = matchedTokens >= promptTokens - 1
  if (isWhole || !goesOn) return Math.max(reuse === 'token' ? 1 : 0, usable - unitOf(input) + 1)
  const [firstEnd = 0] = messageEnds
  // The other prompt may have ended soon after that message, though not before they parted.
  const first = boundaryFor(firstEnd, { ...input, promptTokens: usable })
  return Math.max(0, usable - (usable % stepOf(input)), firstEnd <= usable ? first : 0)
}

/**
 * Where a prompt leaves the stored one others may leave it too: the boundary that they would find
 * there. 0: it leaves none.
 */
export function boundaryWhereLeft(stored: StoredBeginning, input: BoundaryInput): number {
  const { matchedTokens, goesOn } = stored
  const isLeft = goesOn && matchedTokens < input.promptTokens
  return isLeft ? Math.max(0, boundaryFor(matchedTokens, input)) : 0
}

/**
 * Adds the boundary where a stored prompt is left to those that are worth saving behind
 * `restoredTo`, unless one of these or what was restored ends hardly before it.
 */
export function withBoundaryLeft(
  positions: readonly number[],
  leftAt: number,
  restoredTo: number,
): readonly number[] {
  const before = positions.findLast((position) => position <= leftAt) ?? restoredTo
  if (leftAt - before <= tileTokens) return positions
  return [...positions, leftAt].sort((a, b) => a - b)
}

/**
 * Do the two prompts share no more than the first words of a template, before which nothing is
 * worth saving?
 */
export const isTooShort = (stored: StoredBeginning, input: BoundaryInput): boolean =>
  stored.goesOn && stored.matchedTokens < Math.min(unitOf(input), input.promptTokens - 1)

/**
 * From a request to its plan: what is stored of the prompt is looked up, where its boundaries would
 * be is counted, and the plan follows from both. Reads the index only.
 */
import {
  boundariesToSave,
  boundaryFor,
  boundaryKindsOf,
  lastRestorable,
  type PromptMarks,
} from './boundaries.ts'
import type { CacheOptions } from './cache-options.ts'
import type { LeaseRequest } from './lease.ts'
import { type LookupMemory, lookUp, nothingFound } from './lookup.ts'
import { makePlan } from './plan.ts'
import type { BlockMatch, PrefixIndex } from './prefix-index.ts'
import type { Plan } from './types.ts'

export interface Decision {
  readonly plan: Plan
  /** Stored blocks along the prompt, in chain order, from which the plan's records are. */
  readonly blocks: readonly BlockMatch[]
  /** Positions of the boundaries that other sessions begin with; see `ChainPlace`. */
  readonly shared: readonly number[]
}

export type DecisionOptions = Pick<CacheOptions, 'blockTokens' | 'boundaryTokens' | 'reuse'>

const noMarks: PromptMarks = { messageEnds: [] }

export function decide(
  index: PrefixIndex,
  request: LeaseRequest,
  { blockTokens, boundaryTokens, reuse }: DecisionOptions,
  memory: LookupMemory,
): Decision {
  const { layout, tokens, rates, read } = request
  const promptTokens = tokens.length
  const { messageEnds, breakpoints = [] } = request.marks ?? noMarks
  const cuts = { promptTokens, blockTokens, boundaryTokens, reuse, messageEnds, breakpoints }
  const canRead = read && layout.kinds.length > 0
  const { blocks, ...stored } = canRead ? lookUp(index, request, cuts, memory) : nothingFound
  const plan = makePlan({
    promptTokens,
    lastRestorable: lastRestorable(cuts),
    reuse,
    layout,
    ...stored,
    boundaries: boundaryKindsOf(layout).length > 0 ? boundariesToSave(cuts) : [],
    rates,
    read,
  })
  const wished = [...breakpoints, ...messageEnds.slice(0, 1)]
  return { plan, blocks, shared: wished.map((mark) => boundaryFor(mark, cuts)) }
}

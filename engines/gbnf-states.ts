/**
 * A grammar as an automaton over bytes. A state is all ways to read the text so far, kept at once,
 * each as the stack of what must still come. Equal states are one object and remember where each
 * byte leads, so that a whole vocabulary is walked in milliseconds, however ambiguous the grammar.
 */
import { EngineError } from './errors.ts'
import type { CharSet, Grammar, GrammarSymbol } from './gbnf-rules.ts'
import { grammarStacksMax, grammarStatesMax, grammarStepsMax } from './limits.ts'
import { behindByte, charRange, noChar, type PartialChar } from './partial-char.ts'

/** What comes next, and behind it what `below` says; equal stacks are one object. */
interface Stack {
  readonly id: number
  /** Place among the symbols of all rules. */
  readonly at: number
  readonly below: Stack | null
  readonly above: Map<number, Stack>
}

export interface GrammarState {
  readonly stacks: readonly Stack[]
  readonly char: PartialChar
  readonly behind: Map<number, GrammarState | null>
}

export interface GrammarStates {
  readonly start: GrammarState
  /** Null where this byte is not allowed. */
  behind(state: GrammarState, byte: number): GrammarState | null
  /** May the text end here? */
  isComplete(state: GrammarState): boolean
  /** Characters that must at least follow before the text may end; infinite: no end is in reach. */
  missing(state: GrammarState): number
  /**
   * What is computed from here on may take so many steps as a hostile grammar's vocabulary would
   * exceed; then PREFIXD_E_ENGINE_GRAMMAR is thrown.
   */
  allowSteps(): void
}

export function grammarStates(grammar: Grammar): GrammarStates {
  const { symbols, startsOf } = flatten(grammar)
  const bottom: Stack = { id: 0, at: -1, below: null, above: new Map() }
  let lastId = 0
  let stepsLeft = grammarStepsMax
  const known = new Map<string, GrammarState>()
  let shortest: readonly number[] | null = null

  /** The same stack for the same content, so that sets of stacks find equal ones. */
  const stackOf = (at: number, below: Stack): Stack => {
    const known = below.above.get(at)
    if (known !== undefined) return known
    lastId += 1
    const stack: Stack = { id: lastId, at, below, above: new Map() }
    below.above.set(at, stack)
    return stack
  }

  /** Goes down to the characters that may come next. `bottom` among them: the text may end. */
  const settle = (begun: readonly Stack[]): readonly Stack[] => {
    const open = [...begun]
    const seen = new Set(open)
    const settled = new Set<Stack>()
    const visit = (stack: Stack): void => {
      if (seen.has(stack)) return
      stepsLeft -= 1
      if (seen.size >= grammarStacksMax || stepsLeft < 0) throw tooManyWays()
      seen.add(stack)
      open.push(stack)
    }
    for (let stack = open.pop(); stack !== undefined; stack = open.pop()) {
      const symbol = symbols[stack.at]
      if (stack.below === null || (symbol && 'chars' in symbol)) settled.add(stack)
      else if (symbol === null || symbol === undefined) visit(stack.below)
      else {
        // The last symbol of a sequence leaves nothing behind, so that loops do not grow.
        const isLast = symbols[stack.at + 1] === null
        const below = isLast ? stack.below : stackOf(stack.at + 1, stack.below)
        for (const start of startsOf[symbol.rule] ?? []) visit(stackOf(start, below))
      }
    }
    return [...settled]
  }

  const fitting = (stacks: readonly Stack[], from: number, to: number): Stack[] => {
    stepsLeft -= stacks.length
    return stacks.filter((stack) => {
      const symbol = symbols[stack.at]
      return symbol && 'chars' in symbol && meets(symbol.chars, from, to)
    })
  }

  /** Costs time alone: a state that comes again is made again. */
  const forget = (): void => {
    for (const { behind } of known.values()) behind.clear()
    known.clear()
  }

  /** The one state of this content. */
  const stateOf = (stacks: readonly Stack[], char: PartialChar): GrammarState => {
    const ids = stacks.map(({ id }) => id).sort((a, b) => a - b)
    const key = `${char.value} ${char.missing} ${char.least} ${ids.join()}`
    const found = known.get(key)
    if (found !== undefined) return found
    if (known.size >= grammarStatesMax) forget()
    const state: GrammarState = { stacks, char, behind: new Map() }
    known.set(key, state)
    return state
  }

  const compute = ({ stacks, char }: GrammarState, byte: number): GrammarState | null => {
    const next = behindByte(char, byte)
    if (next === null) return null
    const fit = fitting(stacks, ...charRange(next))
    if (fit.length === 0) return null
    if (next.missing > 0) return stateOf(fit, next)
    const begun = fit.flatMap(({ at, below }) => (below === null ? [] : [stackOf(at + 1, below)]))
    return stateOf(settle(begun), noChar)
  }

  return {
    start: stateOf(settle((startsOf[grammar.root] ?? []).map((at) => stackOf(at, bottom))), noChar),
    behind(state, byte) {
      const remembered = state.behind.get(byte)
      if (remembered !== undefined) return remembered
      const next = compute(state, byte)
      state.behind.set(byte, next)
      return next
    },
    isComplete: ({ stacks, char }) => char.missing === 0 && stacks.includes(bottom),
    missing({ stacks }) {
      shortest ??= shortestRests(symbols, startsOf)
      let least = Number.POSITIVE_INFINITY
      for (const stack of stacks) {
        let missing = 0
        for (let part: Stack | null = stack; part !== null; part = part.below) {
          missing += shortest[part.at] ?? 0
        }
        least = Math.min(least, missing)
      }
      return least
    },
    allowSteps() {
      stepsLeft = grammarStepsMax
    },
  }
}

/** All symbols in one list, null behind each sequence, and where each rule's sequences begin. */
function flatten({ rules }: Grammar) {
  const symbols: (GrammarSymbol | null)[] = []
  const startsOf = rules.map(({ alternatives }) =>
    alternatives.map((sequence) => {
      const start = symbols.length
      for (const symbol of sequence) symbols.push(symbol)
      symbols.push(null)
      return start
    }),
  )
  return { symbols, startsOf }
}

/** For each place among the symbols: characters to the end of its sequence, at least. */
function shortestRests(
  symbols: readonly (GrammarSymbol | null)[],
  startsOf: readonly (readonly number[])[],
): readonly number[] {
  const rests = symbols.map((symbol) => (symbol === null ? 0 : Number.POSITIVE_INFINITY))
  const ofRule = (rule: number): number =>
    Math.min(...(startsOf[rule] ?? []).map((start) => rests[start] ?? 0))
  // Rules refer to each other, so what is known grows until nothing changes.
  for (let changed = true; changed; ) {
    changed = false
    for (let at = symbols.length - 1; at >= 0; at -= 1) {
      const symbol = symbols[at]
      if (symbol === null || symbol === undefined) continue
      const own = 'chars' in symbol ? 1 : ofRule(symbol.rule)
      const rest = own + (rests[at + 1] ?? 0)
      changed ||= rest < (rests[at] ?? 0)
      rests[at] = rest
    }
  }
  return rests
}

function meets(chars: CharSet, from: number, to: number): boolean {
  return chars.some(([first, last]) => first <= to && last >= from)
}

const tooManyWays = (): EngineError =>
  new EngineError(
    'PREFIXD_E_ENGINE_GRAMMAR',
    'The grammar reads this text in too many ways at once. Make it less ambiguous.',
  )

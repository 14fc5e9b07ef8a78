/**
 * Follows a text through a grammar, byte by byte: a token may end inside of a character. All ways
 * to read the text so far are kept at once, each as the stack of what must still come. Pure.
 */
import { EngineError } from './errors.ts'
import type { CharSet, Grammar, GrammarSymbol } from './gbnf-rules.ts'
import { grammarStacksMax } from './limits.ts'

export interface GrammarMatcher {
  /** May these bytes come next? A character that they begin counts where one of its kind may. */
  allows(bytes: Uint8Array): boolean
  /**
   * Characters that must at least follow behind these bytes before the text may end; null where
   * they are not allowed, infinite where no end can be reached.
   */
  missingBehind(bytes: Uint8Array): number | null
  /** Goes on behind these bytes; throws where they are not allowed. */
  accept(bytes: Uint8Array): void
  /** May the text end here? */
  readonly isComplete: boolean
}

/** What comes next, and behind it what `below` says; equal stacks are one object. */
interface Stack {
  /** Place among the symbols of all rules. */
  readonly at: number
  readonly below: Stack | null
  readonly above: Map<number, Stack>
}

/** The bytes of a character that has not ended. */
interface Partial {
  readonly value: number
  readonly missing: number
  /** The least character that may be written with so many bytes. */
  readonly least: number
}

const wholeCharacter: Partial = { value: 0, missing: 0, least: 0 }

export function createMatcher(grammar: Grammar): GrammarMatcher {
  const { symbols, startsOf } = flatten(grammar)
  const shortest = shortestRests(symbols, startsOf)
  const bottom: Stack = { at: -1, below: null, above: new Map() }

  /** The same stack for the same content, so that sets of stacks find equal ones. */
  const stackOf = (at: number, below: Stack): Stack => {
    const known = below.above.get(at)
    if (known !== undefined) return known
    const stack: Stack = { at, below, above: new Map() }
    below.above.set(at, stack)
    return stack
  }

  /** Goes down to the characters that may come next. `bottom` among them: the text may end. */
  const settle = (begun: readonly Stack[]): Set<Stack> => {
    const open = [...begun]
    const seen = new Set(open)
    const settled = new Set<Stack>()
    const visit = (stack: Stack): void => {
      if (seen.has(stack)) return
      if (seen.size >= grammarStacksMax) throw tooManyWays()
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
    return settled
  }

  const fitting = (stacks: Iterable<Stack>, from: number, to: number): Stack[] =>
    [...stacks].filter((stack) => {
      const symbol = symbols[stack.at]
      return symbol && 'chars' in symbol && meets(symbol.chars, from, to)
    })

  const advance = (stacks: Iterable<Stack>, char: number): Set<Stack> =>
    settle(
      fitting(stacks, char, char).flatMap(({ at, below }) =>
        below === null ? [] : [stackOf(at + 1, below)],
      ),
    )

  let stacks = settle((startsOf[grammar.root] ?? []).map((start) => stackOf(start, bottom)))
  let partial = wholeCharacter

  /** Null where the bytes are not allowed. */
  const read = (bytes: Uint8Array): { stacks: Set<Stack>; partial: Partial } | null => {
    const decoded = decode(partial, bytes)
    if (decoded === null) return null
    let next = stacks
    for (const char of decoded.chars) next = advance(next, char)
    const [from, to] = rangeOf(decoded.partial)
    const isOpen = decoded.partial.missing > 0
    const goesOn = isOpen ? fitting(next, from, to).length > 0 : next.size > 0
    return goesOn ? { stacks: next, partial: decoded.partial } : null
  }

  const missingOf = (stack: Stack): number => {
    let missing = 0
    for (let part: Stack | null = stack; part !== null; part = part.below) {
      missing += shortest[part.at] ?? 0
    }
    return missing
  }

  return {
    allows: (bytes) => read(bytes) !== null,
    missingBehind(bytes) {
      const next = read(bytes)
      return next && Math.min(...[...next.stacks].map(missingOf))
    },
    accept(bytes) {
      const next = read(bytes)
      if (next === null) throw new Error('the grammar does not allow this text')
      stacks = next.stacks
      partial = next.partial
    },
    get isComplete() {
      return partial.missing === 0 && stacks.has(bottom)
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

/** Null: this is no UTF-8. */
function decode(begun: Partial, bytes: Uint8Array): { chars: number[]; partial: Partial } | null {
  const chars: number[] = []
  let partial = begun
  for (const byte of bytes) {
    const next = partial.missing === 0 ? firstByte(byte) : laterByte(partial, byte)
    if (next === null) return null
    partial = next
    if (partial.missing > 0) continue
    chars.push(partial.value)
    partial = wholeCharacter
  }
  return { chars, partial }
}

function firstByte(byte: number): Partial | null {
  if (byte < 0x80) return { value: byte, missing: 0, least: 0 }
  if (byte >= 0xc2 && byte < 0xe0) return { value: byte & 0x1f, missing: 1, least: 0x80 }
  if (byte >= 0xe0 && byte < 0xf0) return { value: byte & 0x0f, missing: 2, least: 0x800 }
  if (byte >= 0xf0 && byte < 0xf5) return { value: byte & 0x07, missing: 3, least: 0x1_0000 }
  return null
}

function laterByte({ value, missing, least }: Partial, byte: number): Partial | null {
  if (byte >> 6 !== 0b10) return null
  const next = { value: (value << 6) | (byte & 0x3f), missing: missing - 1, least }
  const [from, to] = rangeOf(next)
  // Characters written longer than needed, beyond Unicode, or halves of a pair.
  return from > to || (from >= 0xd800 && to <= 0xdfff) ? null : next
}

/** The characters that it may become. */
function rangeOf({ value, missing, least }: Partial): readonly [number, number] {
  const from = value * 2 ** (6 * missing)
  return [Math.max(from, least), Math.min(from + 2 ** (6 * missing) - 1, 0x10ffff)]
}

const tooManyWays = (): EngineError =>
  new EngineError(
    'PREFIXD_E_ENGINE_GRAMMAR',
    `The grammar reads this text in more than ${grammarStacksMax} ways. Make it less ambiguous.`,
  )

/** Regular expressions → GBNF. Pure. */
import type { CharSet } from './char-set.ts'
import { choice, type Piece, type Rules, sequence } from './gbnf.ts'
import { parseRegex, type Regex, RegexProblem } from './regex.ts'
import { schemaError } from './schema-error.ts'

/** How a family writes text: one character of a set, null where it can write none of them. */
export type CharWriter = (set: CharSet) => Piece | null

export interface PatternOptions {
  /** `search`: without anchors a match may stand anywhere, as JSON schema wants it. */
  readonly match: 'whole' | 'search'
  readonly char: CharWriter
  /** A piece of one character of any kind. */
  readonly anyChar: Piece
}

export interface Lengths {
  readonly min: number
  readonly max: number | null
}

const anchorNext = 'Write ^ at the beginning and $ at the end of an alternative.'

/** Throws PREFIXD_E_SCHEMA. */
export function readPattern(pattern: string, path: string): Regex {
  try {
    return parseRegex(pattern)
  } catch (error) {
    if (error instanceof RegexProblem) throw schemaError(path, error.message)
    throw error
  }
}

/** Null: no text fits. Throws PREFIXD_E_SCHEMA. */
export function patternPiece(
  rules: Rules,
  regex: Regex,
  path: string,
  options: PatternOptions,
): Piece | null {
  const write = createWriter(rules, path, options.char)
  const anything = rules.times(options.anyChar, 0, null)
  const pieces = branchesOf(regex).map((branch) => {
    const { parts, start, end } = withoutAnchors(branch)
    const inside = write({ kind: 'sequence', parts })
    if (inside === null) return null
    const isOpen = options.match === 'search'
    return sequence(isOpen && !start ? anything : '', inside, isOpen && !end ? anything : '')
  })
  const some = pieces.filter((piece) => piece !== null)
  return some.length === 0 ? null : choice(some)
}

/** How many characters a match of the whole pattern has. */
export function lengthsOf(regex: Regex, match: 'whole' | 'search'): Lengths {
  const all = branchesOf(regex).map((branch) => {
    const { parts, start, end } = withoutAnchors(branch)
    const inside = lengthOf({ kind: 'sequence', parts })
    return match === 'whole' || (start && end) ? inside : { min: inside.min, max: null }
  })
  return widest(all)
}

const branchesOf = (regex: Regex): readonly Regex[] =>
  regex.kind === 'choice' ? regex.parts : [regex]

function withoutAnchors(branch: Regex) {
  const parts = branch.kind === 'sequence' ? branch.parts : [branch]
  const from = parts.findIndex(({ kind }) => kind !== 'start')
  const to = parts.findLastIndex(({ kind }) => kind !== 'end')
  return {
    parts: from < 0 ? [] : parts.slice(from, to + 1),
    start: parts[0]?.kind === 'start',
    end: parts.at(-1)?.kind === 'end',
  }
}

const widest = (all: readonly Lengths[]): Lengths => ({
  min: Math.min(...all.map(({ min }) => min)),
  max: all.some(({ max }) => max === null) ? null : Math.max(...all.map(({ max }) => max ?? 0)),
})

/** Parts without their empty text share what is behind them: each part is measured once. */
const known = new WeakMap<Regex, Lengths>()

function lengthOf(regex: Regex): Lengths {
  const length = known.get(regex) ?? measure(regex)
  known.set(regex, length)
  return length
}

function measure(regex: Regex): Lengths {
  if (regex.kind === 'chars') return { min: 1, max: 1 }
  if (regex.kind === 'start' || regex.kind === 'end') return { min: 0, max: 0 }
  if (regex.kind === 'choice') return widest(regex.parts.map(lengthOf))
  if (regex.kind === 'sequence') {
    const all = regex.parts.map(lengthOf)
    const isEndless = all.some(({ max }) => max === null)
    return {
      min: all.reduce((sum, { min }) => sum + min, 0),
      max: isEndless ? null : all.reduce((sum, { max }) => sum + (max ?? 0), 0),
    }
  }
  const one = lengthOf(regex.part)
  const min = one.min * regex.min
  if (regex.max === 0 || one.max === 0) return { min, max: 0 }
  return { min, max: regex.max === null || one.max === null ? null : one.max * regex.max }
}

const mayBeEmpty = (regex: Regex): boolean => lengthOf(regex).min === 0

/** Longer pieces get a rule of their own, so that writing them twice costs nothing. */
const inlineChars = 60

/** Each part is written once, wherever it stands. */
function createWriter(rules: Rules, path: string, char: CharWriter) {
  const written = new Map<Regex, Piece | null>()
  const solids = new Map<Regex, Regex | null>()

  /** Null: no text fits. */
  function write(regex: Regex): Piece | null {
    const before = written.get(regex)
    if (before !== undefined) return before
    const whole = writeWhole(regex)
    const isLong = whole !== null && whole.length > inlineChars
    const piece = isLong ? rules.add('pattern', whole) : whole
    written.set(regex, piece)
    return piece
  }

  function writeWhole(regex: Regex): Piece | null {
    if (regex.kind === 'chars') return char(regex.set)
    if (regex.kind === 'choice') {
      const some = regex.parts.map(write).filter((piece) => piece !== null)
      return some.length === 0 ? null : choice(some)
    }
    if (regex.kind === 'sequence') {
      const all = regex.parts.map(write)
      return all.includes(null) ? null : sequence(...all.filter((piece) => piece !== null))
    }
    if (regex.kind === 'times') return writeTimes(regex)
    throw schemaError(path, 'has an anchor in the middle, which no grammar can know', anchorNext)
  }

  /** What is repeated must not be empty, so the empty match is taken out of it. */
  function writeTimes({ part, min, max }: Extract<Regex, { readonly kind: 'times' }>) {
    if (max === 0) return '""'
    const isEmpty = mayBeEmpty(part)
    const solid = isEmpty ? withoutEmpty(part) : part
    const piece = solid === null ? null : write(solid)
    const least = isEmpty ? 0 : min
    if (piece === null) return least === 0 ? '""' : null
    return rules.times(piece, least, max)
  }

  function withoutEmpty(regex: Regex): Regex | null {
    const before = solids.get(regex)
    if (before !== undefined) return before
    const solid = mayBeEmpty(regex) ? takeEmptyOut(regex) : regex
    solids.set(regex, solid)
    return solid
  }

  /** Null where nothing is left. */
  function takeEmptyOut(regex: Regex): Regex | null {
    if (regex.kind === 'choice') return oneOf(regex.parts.map(withoutEmpty))
    if (regex.kind === 'times') {
      const part = regex.max === 0 ? null : withoutEmpty(regex.part)
      return part === null ? null : { kind: 'times', part, min: 1, max: regex.max }
    }
    if (regex.kind !== 'sequence') return null
    // The first part that is not empty stands at each place in turn; those before it are empty.
    const { parts } = regex
    return oneOf(
      parts.map((part, index): Regex | null => {
        const solid = withoutEmpty(part)
        if (solid === null || !parts.slice(0, index).every(mayBeEmpty)) return null
        return { kind: 'sequence', parts: [solid, ...parts.slice(index + 1)] }
      }),
    )
  }

  return write
}

function oneOf(parts: readonly (Regex | null)[]): Regex | null {
  const some = parts.filter((part) => part !== null)
  return some.length === 0 ? null : { kind: 'choice', parts: some }
}

/**
 * Writes llama.cpp's GBNF. Pieces of it are text: what stands on the right side of a rule, without
 * bare alternatives, so that pieces can follow each other. What is repeated must not be empty:
 * llama.cpp takes that for a rule that begins with itself.
 */
import { type CharSet, complement, lastCodePoint } from './char-set.ts'

/** A piece of a rule. */
export type Piece = string

export interface RuleLimits {
  readonly grammarRules: number
  readonly grammarChars: number
  readonly grammarRepetitions: number
}

export interface Rules {
  /** A rule with this body, under a name that begins with the hint; equal bodies share one. */
  add(hint: string, body: string): Piece
  /** A name for a rule that is defined later, since it refers to itself. */
  reserve(hint: string): Piece
  define(name: Piece, body: string): void
  /** `piece` so many times; max null is without end. */
  times(piece: Piece, min: number, max: number | null): Piece
  /** All rules, `root` first. Throws where they exceed the limits. */
  text(root: string): string
}

/** llama.cpp refuses repetitions above 2,000, and writes out every one of them. */
const repetitionsAtOnce = 100

/**
 * `tooLarge` makes the error for whoever asked for a grammar beyond the limits. All names begin
 * with the prefix.
 */
export function createRules(
  limits: RuleLimits,
  tooLarge: (message: string) => Error,
  prefix = '',
): Rules {
  const bodies = new Map<string, string>()
  const nameOf = new Map<string, string>()
  const taken = new Map<string, number>()
  let charCount = 0

  const freeName = (hint: string): string => {
    const word = hint
      .replace(/[^a-zA-Z0-9]+/g, '-')
      .replace(/^-+|-+$/g, '')
      .slice(0, 40)
    const clean = `${prefix}${word === '' || word === 'root' ? 'rule' : word}`
    const next = (taken.get(clean) ?? 0) + 1
    taken.set(clean, next)
    const name = next === 1 ? clean : `${clean}-${next}`
    // Another hint may have ended with a number.
    if (bodies.has(name)) return freeName(hint)
    return name
  }
  const count = (body: string): void => {
    charCount += body.length
    if (charCount > limits.grammarChars || bodies.size > limits.grammarRules) {
      throw tooLarge(
        `needs a grammar of more than ${limits.grammarRules} rules ` +
          `or ${limits.grammarChars} characters`,
      )
    }
  }
  const rules: Rules = {
    add(hint, body) {
      const known = nameOf.get(body)
      if (known !== undefined) return known
      const name = freeName(hint)
      bodies.set(name, body)
      nameOf.set(body, name)
      count(body)
      return name
    },
    reserve(hint) {
      const name = freeName(hint)
      bodies.set(name, '')
      return name
    },
    define(name, body) {
      bodies.set(name, body)
      count(body)
    },
    times(piece, min, max) {
      if (Math.max(min, max ?? 0) > limits.grammarRepetitions) {
        throw tooLarge(`asks for more than ${limits.grammarRepetitions} repetitions`)
      }
      return writeTimes(rules, piece, min, max)
    },
    text(root) {
      const all = [['root', root] as const, ...bodies]
      return all.map(([name, body]) => `${name} ::= ${body}\n`).join('')
    },
  }
  return rules
}

/** Many repetitions are repetitions of hundreds, and exactly as many as were asked for. */
function writeTimes(rules: Rules, piece: Piece, min: number, max: number | null): Piece {
  const again = (from: number, to: number | null): Piece => rules.times(piece, from, to)
  if (max === 0) return '""'
  if (min > repetitionsAtOnce) {
    const rest = again(min % repetitionsAtOnce, max === null ? null : max - wholes(min))
    return sequence(hundreds(rules, piece, wholes(min), wholes(min)), rest)
  }
  if (max === null || max <= repetitionsAtOnce) return `${grouped(piece)}${suffix(min, max)}`
  if (min > 0) return sequence(again(min, min), again(0, max - min))
  const all = wholes(max)
  return choice([
    sequence(hundreds(rules, piece, 0, all - repetitionsAtOnce), again(0, repetitionsAtOnce - 1)),
    sequence(hundreds(rules, piece, all, all), again(0, max - all)),
  ])
}

const wholes = (count: number): number => count - (count % repetitionsAtOnce)

/** `min` and `max` are multiples of a hundred. */
function hundreds(rules: Rules, piece: Piece, min: number, max: number): Piece {
  const one = rules.add('times', rules.times(piece, repetitionsAtOnce, repetitionsAtOnce))
  return rules.times(one, min / repetitionsAtOnce, max / repetitionsAtOnce)
}

function suffix(min: number, max: number | null): string {
  if (min === max) return min === 1 ? '' : `{${min}}`
  if (max === null) return min === 0 ? '*' : min === 1 ? '+' : `{${min},}`
  return min === 0 && max === 1 ? '?' : `{${min},${max}}`
}

const isSimple = (piece: Piece): boolean => /^([a-zA-Z0-9-]+|\[(\\.|[^\]\\])*\])$/.test(piece)
const grouped = (piece: Piece): Piece => (isSimple(piece) ? piece : `(${piece})`)

export const sequence = (...pieces: readonly Piece[]): Piece =>
  pieces.filter((piece) => piece !== '' && piece !== '""').join(' ') || '""'

/** One of them, which are not none. */
export function choice(pieces: readonly Piece[]): Piece {
  const all = [...new Set(pieces)]
  return all.length === 1 ? (all[0] ?? '""') : `(${all.join(' | ')})`
}

export const optional = (piece: Piece): Piece => `${grouped(piece)}?`

/** Alternatives as they stand behind `::=`. */
export const alternatives = (pieces: readonly Piece[]): string => [...new Set(pieces)].join(' | ')

export const literal = (text: string): Piece => `"${[...text].map(inLiteral).join('')}"`

/** One character of a set that has some. */
export function charClass(set: CharSet): Piece {
  const rest = complement(set)
  const negated = rest.length > 0 && rest.length < set.length
  if (rest.length === 0) return '.'
  const ranges = (negated ? rest : set).map(([from, to]) =>
    from === to ? inClass(from) : `${inClass(from)}-${inClass(to)}`,
  )
  return `[${negated ? '^' : ''}${ranges.join('')}]`
}

const short: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' }

function inLiteral(char: string): string {
  if (char === '"' || char === '\\') return `\\${char}`
  return short[char] ?? visible(char.codePointAt(0) ?? 0)
}

/** Everything that has a meaning in a class is written as a number. */
function inClass(codePoint: number): string {
  const char = String.fromCodePoint(codePoint)
  if ('"\\]'.includes(char)) return `\\${char}`
  if ('[^-'.includes(char)) return hex(codePoint)
  return short[char] ?? visible(codePoint)
}

/** What cannot be seen, or what other characters may join, is written as a number. */
function visible(codePoint: number): string {
  const char = String.fromCodePoint(codePoint)
  const isPlain = codePoint < lastCodePoint && /^[\p{L}\p{N}\p{P}\p{S} ]$/u.test(char)
  return isPlain ? char : hex(codePoint)
}

function hex(codePoint: number): string {
  const digits = codePoint.toString(16).toUpperCase()
  if (codePoint <= 0xff) return `\\x${digits.padStart(2, '0')}`
  return codePoint <= 0xffff ? `\\u${digits.padStart(4, '0')}` : `\\U${digits.padStart(8, '0')}`
}

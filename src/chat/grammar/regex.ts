/**
 * Reads regular expressions of JavaScript, as JSON schemas and vLLM's clients write them. What
 * looks around, or back, is refused by name. Pure.
 */
import {
  both,
  type CharSet,
  charsOf,
  complement,
  everyChar,
  lastCodePoint,
  union,
} from './char-set.ts'

export type Regex =
  | { readonly kind: 'chars'; readonly set: CharSet }
  | { readonly kind: 'sequence'; readonly parts: readonly Regex[] }
  | { readonly kind: 'choice'; readonly parts: readonly Regex[] }
  | {
      readonly kind: 'times'
      readonly part: Regex
      readonly min: number
      readonly max: number | null
    }
  | { readonly kind: 'start' }
  | { readonly kind: 'end' }

/** `problem` goes on behind the name of the field. */
export class RegexProblem extends Error {}

const digit: CharSet = [[0x30, 0x39]]
const word = union(digit, [
  [0x41, 0x5a],
  [0x5f, 0x5f],
  [0x61, 0x7a],
])
const space = union(charsOf('\t\n\v\f\r \u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff'), [
  [0x2000, 0x200a],
])
const classes: Readonly<Record<string, CharSet>> = {
  d: digit,
  D: complement(digit),
  w: word,
  W: complement(word),
  s: space,
  S: complement(space),
}
const lineEnds = charsOf('\n\r\u2028\u2029')
const controls: Readonly<Record<string, string>> = {
  t: '\t',
  n: '\n',
  v: '\v',
  f: '\f',
  r: '\r',
  '0': '\0',
}
const nestingMax = 100

/** Throws RegexProblem. */
export function parseRegex(pattern: string): Regex {
  const source = [...pattern]
  let at = 0
  const peek = (ahead = 0): string | undefined => source[at + ahead]
  const take = (text: string): boolean => {
    const found = [...text].every((char, index) => source[at + index] === char)
    if (found) at += text.length
    return found
  }
  const fail = (problem: string): never => {
    throw new RegexProblem(`${problem} (at character ${at + 1})`)
  }

  function disjunction(nesting: number): Regex {
    if (nesting > nestingMax) fail('has groups that are nested too deep')
    const parts = [sequence(nesting)]
    while (take('|')) parts.push(sequence(nesting))
    return parts.length === 1 ? (parts[0] as Regex) : { kind: 'choice', parts }
  }

  function sequence(nesting: number): Regex {
    const parts: Regex[] = []
    while (peek() !== undefined && peek() !== '|' && peek() !== ')') {
      parts.push(repeated(atom(nesting)))
    }
    return parts.length === 1 ? (parts[0] as Regex) : { kind: 'sequence', parts }
  }

  function atom(nesting: number): Regex {
    if (take('^')) return { kind: 'start' }
    if (take('$')) return { kind: 'end' }
    if (take('.')) return { kind: 'chars', set: complement(lineEnds) }
    if (take('(')) return group(nesting)
    if (take('[')) return { kind: 'chars', set: charClass() }
    if (take('\\')) return { kind: 'chars', set: escaped('outside') }
    const char = peek() ?? ''
    if ('*+?'.includes(char)) fail(`has a \`${char}\` that repeats nothing`)
    at += 1
    return { kind: 'chars', set: charsOf(char) }
  }

  function group(nesting: number): Regex {
    if (take('?')) {
      if (peek() === '=' || peek() === '!') fail('looks ahead, which no grammar can do')
      if (peek() === '<' && (peek(1) === '=' || peek(1) === '!')) {
        fail('looks behind, which no grammar can do')
      }
      const isNamed = take('P<') || take('<')
      if (isNamed) while (peek() !== undefined && !take('>')) at += 1
      else if (!take(':')) fail('has a group with flags or conditions, which are not read')
    }
    const inside = disjunction(nesting + 1)
    if (!take(')')) fail('has a group that is not closed')
    return inside
  }

  function repeated(part: Regex): Regex {
    const count = quantifier()
    if (count === null) return part
    if (part.kind === 'start' || part.kind === 'end') fail('repeats an anchor')
    if (take('+')) fail('has a possessive quantifier, which is not read')
    // Lazy or not, the same texts fit.
    take('?')
    return repeated({ kind: 'times', part, ...count })
  }

  function quantifier(): { min: number; max: number | null } | null {
    if (take('*')) return { min: 0, max: null }
    if (take('+')) return { min: 1, max: null }
    if (take('?')) return { min: 0, max: 1 }
    const braces = /^\{(\d{1,9})(,(\d{0,9}))?\}/.exec(source.slice(at, at + 24).join(''))
    if (braces === null) return null
    const [all, from = '0', comma, to = ''] = braces
    at += all.length
    const min = Number(from)
    const max = comma === undefined ? min : to === '' ? null : Number(to)
    if (max !== null && max < min) fail('has a repetition that ends before it begins')
    return { min, max }
  }

  function charClass(): CharSet {
    const negated = take('^')
    const sets: CharSet[] = []
    while (!take(']')) {
      if (peek() === undefined) fail('has a class that is not closed')
      const from = classAtom()
      const single = singleOf(from)
      if (single !== null && peek() === '-' && peek(1) !== ']' && peek(1) !== undefined) {
        at += 1
        const to = singleOf(classAtom())
        if (to === null || to < single) fail('has a range that ends before it begins')
        sets.push([[single, to ?? single]])
      } else sets.push(from)
    }
    const all = union(...sets)
    return negated ? complement(all) : all
  }

  function classAtom(): CharSet {
    if (take('\\')) return escaped('class')
    const char = peek() ?? fail('has a class that is not closed')
    at += 1
    return charsOf(char)
  }

  function escaped(where: 'class' | 'outside'): CharSet {
    const char = peek() ?? fail('ends with a backslash')
    at += 1
    if (Object.hasOwn(classes, char)) return classes[char] ?? []
    if (char === 'b' && where === 'class') return charsOf('\b')
    if (char === 'b' || char === 'B') fail('asks for word boundaries, which no grammar can know')
    if (/[1-9k]/.test(char) && where === 'outside') {
      fail('refers back to a group, which no grammar can do')
    }
    if (char === 'p' || char === 'P') fail('asks for a Unicode property; write its ranges')
    if ('AZz'.includes(char)) fail(`has \\${char}; write ^ or $`)
    if (Object.hasOwn(controls, char)) return charsOf(controls[char] ?? '')
    if (char === 'x') return hex(/^[0-9a-fA-F]{2}/)
    if (char === 'u') return hex(/^(?:[0-9a-fA-F]{4}|\{[0-9a-fA-F]{1,6}\})/)
    return charsOf(char)
  }

  function hex(digits: RegExp): CharSet {
    const [written] = digits.exec(source.slice(at, at + 8).join('')) ?? [fail('has a bad escape')]
    at += written.length
    const value = Number.parseInt(written.replace('{', ''), 16)
    if (value > lastCodePoint) fail('has an escape beyond Unicode')
    return both([[value, value]], everyChar)
  }

  const regex = disjunction(0)
  if (peek() !== undefined) fail('has a `)` that closes nothing')
  return regex
}

/** The only character of a set; null where it has none or many. */
function singleOf(set: CharSet): number | null {
  const [range, ...more] = set
  return range !== undefined && more.length === 0 && range[0] === range[1] ? range[0] : null
}

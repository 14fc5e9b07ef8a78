/**
 * Reads llama.cpp's GBNF: rules of alternatives, groups, classes, literals, `.` and repetitions,
 * with `#` comments. Groups and repetitions become rules of their own. Pure.
 */
import { GrammarError } from './errors.ts'
import {
  type CharSet,
  checkRules,
  type Grammar,
  type GrammarSymbol,
  type Sequence,
} from './gbnf-rules.ts'
import {
  grammarCharsMax,
  grammarNestingMax,
  grammarRepetitionsMax,
  grammarSymbolsMax,
} from './limits.ts'

const lastCodePoint = 0x10ffff
const anyChar: CharSet = [[0, lastCodePoint]]
const escapes: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  '\\': '\\',
  '"': '"',
  '[': '[',
  ']': ']',
}
const hexDigits: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 }

/** Throws GrammarError: what is wrong, and where. Costs milliseconds for the largest ones. */
export function parseGbnf(text: string): Grammar {
  if (text.length > grammarCharsMax) {
    const rule = `it has ${text.length} characters; ${grammarCharsMax} are allowed.`
    throw new GrammarError(rule, { line: 1, column: 1 })
  }
  const parser = createParser(text)
  parser.grammar()
  return parser.finish()
}

/** `offset` counts UTF-16 units. */
export function placeOf(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset).split('\n')
  return { line: before.length, column: [...(before.at(-1) ?? '')].length + 1 }
}

function createParser(text: string) {
  const cursor = createCursor(text)
  const { fail, skipSpace } = cursor
  const rules: { name: string; alternatives: readonly Sequence[] | null; offset: number }[] = []
  const named = new Map<string, number>()
  let symbolCount = 0

  const counted = (symbols: Sequence): Sequence => {
    symbolCount += symbols.length
    if (symbolCount > grammarSymbolsMax) {
      fail(`it has more than ${grammarSymbolsMax} symbols when its repetitions are written out.`)
    }
    return symbols
  }
  const add = (name: string, alternatives: readonly Sequence[] | null, offset: number): number =>
    rules.push({ name, alternatives, offset }) - 1

  /** The rule of this name, which may be defined further down. */
  const refer = (name: string, offset: number): number => {
    const known = named.get(name)
    if (known !== undefined) return known
    const index = add(name, null, offset)
    named.set(name, index)
    return index
  }

  function alternatives(name: string, nesting: number): Sequence[] {
    if (nesting > grammarNestingMax) fail(`groups are nested deeper than ${grammarNestingMax}.`)
    const all = [sequence(name, nesting)]
    while (cursor.take('|')) {
      skipSpace('lines')
      all.push(sequence(name, nesting))
    }
    return all
  }

  function sequence(name: string, nesting: number): Sequence {
    const symbols: GrammarSymbol[] = []
    for (;;) {
      const offset = cursor.offset
      const one = symbol(name, nesting)
      if (one === null) return symbols
      skipSpace(nesting > 0 ? 'lines' : 'line')
      for (const each of repeated(one, { name, offset, nesting })) symbols.push(each)
    }
  }

  /** Null where none begins. A literal of many characters is repeated as a whole. */
  function symbol(name: string, nesting: number): Sequence | null {
    const { offset } = cursor
    if (cursor.take('"')) return counted(literal())
    if (cursor.take('[')) return counted([{ chars: charClass() }])
    if (cursor.take('.')) return counted([{ chars: anyChar }])
    if (cursor.take('(')) {
      skipSpace('lines')
      const rule = add(name, alternatives(name, nesting + 1), offset)
      if (!cursor.take(')')) fail('a group is not closed; `)` must come here.')
      return counted([{ rule }])
    }
    const reference = cursor.name()
    return reference === '' ? null : counted([{ rule: refer(reference, offset) }])
  }

  function literal(): Sequence {
    const symbols: GrammarSymbol[] = []
    while (!cursor.take('"')) {
      const char = cursor.char('a text in quotes')
      symbols.push({ chars: [[char, char]] })
    }
    return symbols
  }

  function charClass(): CharSet {
    const negated = cursor.take('^')
    const ranges: [number, number][] = []
    while (!cursor.take(']')) {
      const from = cursor.char('a class in brackets')
      const isRange = cursor.peek() === '-' && cursor.peek(1) !== ']'
      if (isRange) cursor.take('-')
      const to = isRange ? cursor.char('a class in brackets') : from
      if (to < from) fail('a range of a class ends before it begins.')
      ranges.push([from, to])
    }
    if (ranges.length === 0) fail('a class has no characters.')
    return negated ? complement(merge(ranges)) : merge(ranges)
  }

  interface Place {
    readonly name: string
    readonly offset: number
    readonly nesting: number
  }

  function repeated(one: Sequence, place: Place): Sequence {
    const count = repetition()
    if (count === null) return one
    skipSpace(place.nesting > 0 ? 'lines' : 'line')
    const { min, max } = count
    const symbols: GrammarSymbol[] = []
    for (let index = 0; index < min; index += 1) symbols.push(...counted(one))
    if (max === null) {
      const again = rules.length
      add(place.name, [counted([...one, { rule: again }]), []], place.offset)
      symbols.push({ rule: again })
    }
    let optional: number | null = null
    for (let left = (max ?? min) - min; left > 0; left -= 1) {
      const rest: Sequence = optional === null ? [] : [{ rule: optional }]
      optional = add(place.name, [counted([...one, ...rest]), []], place.offset)
    }
    if (optional !== null) symbols.push({ rule: optional })
    return repeated(symbols, place)
  }

  function repetition(): { min: number; max: number | null } | null {
    if (cursor.take('*')) return { min: 0, max: null }
    if (cursor.take('+')) return { min: 1, max: null }
    if (cursor.take('?')) return { min: 0, max: 1 }
    if (!cursor.take('{')) return null
    skipSpace('line')
    const min = cursor.number()
    skipSpace('line')
    if (cursor.take('}')) return { min, max: min }
    if (!cursor.take(',')) fail('`,` or `}` must come here.')
    skipSpace('line')
    const max = cursor.peek() === '}' ? null : cursor.number()
    skipSpace('line')
    if (!cursor.take('}')) fail('`}` must come here.')
    if (max !== null && max < min) fail('a repetition ends before it begins.')
    return { min, max }
  }

  function rule(): void {
    const { offset } = cursor
    const name = cursor.name()
    if (name === '') fail('the name of a rule must come here.')
    skipSpace('line')
    if (!cursor.take('::=')) fail('`::=` must come here.')
    skipSpace('lines')
    const index = refer(name, offset)
    if (rules[index]?.alternatives !== null) fail(`the rule \`${name}\` is defined twice.`, offset)
    rules[index] = { name, alternatives: alternatives(name, 0), offset }
    if (!cursor.isAtEnd() && !cursor.take('\n')) fail('the end of the line must come here.')
    skipSpace('lines')
  }

  return {
    grammar(): void {
      skipSpace('lines')
      while (!cursor.isAtEnd()) rule()
    },
    finish(): Grammar {
      const defined = rules.map(({ name, alternatives: all, offset }) => {
        if (all === null) fail(`the rule \`${name}\` is not defined.`, offset)
        return { name, alternatives: all ?? [], offset }
      })
      const root = named.get('root')
      if (root === undefined) return fail('there is no rule `root`.', 0)
      checkRules(defined, ({ name, offset }) =>
        fail(`\`${name}\` may begin with itself, or repeats what may be empty.`, offset),
      )
      return { rules: defined, root }
    },
  }
}

function createCursor(text: string) {
  let at = 0
  const fail = (message: string, offset = at): never => {
    throw new GrammarError(message, placeOf(text, offset))
  }
  const cursor = {
    fail,
    get offset() {
      return at
    },
    isAtEnd: () => at >= text.length,
    peek: (ahead = 0) => text.charAt(at + ahead),
    take(word: string): boolean {
      const found = text.startsWith(word, at)
      if (found) at += word.length
      return found
    },
    /** `line`: up to the end of the line; a comment ends there. */
    skipSpace(over: 'line' | 'lines'): void {
      const space = over === 'line' ? /(?:[ \t]|#[^\n]*)*/y : /(?:[ \t\r\n]|#[^\n]*)*/y
      space.lastIndex = at
      space.exec(text)
      at = space.lastIndex
      if (over === 'line' && text.startsWith('\r\n', at)) at += 1
    },
    /** Empty where none begins. */
    name(): string {
      const name = /[a-zA-Z0-9-]*/y
      name.lastIndex = at
      const [word = ''] = name.exec(text) ?? []
      at += word.length
      return word
    },
    number(): number {
      const digits =
        /^\d{1,9}/.exec(text.slice(at, at + 9))?.[0] ?? fail('a number must come here.')
      if (Number(digits) > grammarRepetitionsMax) {
        fail(`more than ${grammarRepetitionsMax} repetitions.`)
      }
      at += digits.length
      return Number(digits)
    },
    /** One character of a literal or a class, escapes read. */
    char(within: string): number {
      if (at >= text.length) fail(`${within} is not closed.`)
      if (text[at] !== '\\') {
        const char = text.codePointAt(at) ?? 0
        at += char > 0xffff ? 2 : 1
        return char
      }
      const kind = text.charAt(at + 1)
      const digits = Object.hasOwn(hexDigits, kind) ? (hexDigits[kind] ?? 0) : 0
      const hex = text.slice(at + 2, at + 2 + digits)
      const value = digits > 0 ? Number.parseInt(hex, 16) : escapes[kind]?.codePointAt(0)
      const isWhole = digits === 0 || (hex.length === digits && /^[0-9a-fA-F]+$/.test(hex))
      if (value === undefined || !isWhole || value > lastCodePoint) {
        fail(
          'this escape is unknown; \\n, \\r, \\t, \\\\, \\", \\[, \\], \\x, \\u and \\U are known.',
        )
      }
      at += 2 + digits
      return value ?? 0
    },
  }
  return cursor
}

function merge(ranges: readonly (readonly [number, number])[]): CharSet {
  const merged: [number, number][] = []
  for (const [from, to] of [...ranges].sort(([a], [b]) => a - b)) {
    const last = merged.at(-1)
    if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to)
    else merged.push([from, to])
  }
  return merged
}

function complement(ranges: CharSet): CharSet {
  const gaps: [number, number][] = []
  let next = 0
  for (const [from, to] of ranges) {
    if (from > next) gaps.push([next, from - 1])
    next = to + 1
  }
  if (next <= lastCodePoint) gaps.push([next, lastCodePoint])
  return gaps
}

/** How values are written: as JSON, as Python's literals, or in a family's own marks. */
import {
  both,
  type CharSet,
  charsOf,
  codePointsOf,
  everyChar,
  has,
  union,
  without,
} from './char-set.ts'
import { charClass, choice, literal, type Piece, type Rules, sequence } from './gbnf.ts'
import type { CharWriter } from './pattern.ts'

/** The members of an object, or of what a family writes for the arguments of a call. */
export interface ObjectFrame {
  readonly open: Piece
  readonly close: Piece
  readonly separator: Piece
  /** One member; null where the family cannot write this name. */
  member(name: string, value: Piece): Piece | null
  /** A member with another name than these. */
  other(taken: readonly string[], value: Piece): Piece
  /** A member whose name is a text of the schema's; null where names are no texts. */
  named: ((name: Piece, value: Piece) => Piece) | null
}

export interface Notation {
  /** One character inside of text. */
  readonly char: CharWriter
  readonly anyChar: Piece
  /** Text of any length, with its marks. */
  readonly text: Piece
  /** Marks around text. */
  quoted(inside: Piece): Piece
  /** A value as it stands; null where it cannot be written. */
  value(value: unknown): string | null
  readonly object: ObjectFrame
  readonly array: { readonly open: Piece; readonly close: Piece; readonly separator: Piece }
  readonly words: { readonly true: string; readonly false: string; readonly null: string }
}

/** Escapes that have one letter, in JSON and in Python. */
const shortEscapes: ReadonlyMap<string, string> = new Map([
  ['"', '\\"'],
  ['\\', '\\\\'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
])
const controls: CharSet = [[0, 0x1f]]
const escaped = union(controls, charsOf('"\\'))
/** So deep models indent; more would be a loop. */
const indentMax = 40

/** Writes a character of the set: most as they are, a few behind a backslash. */
function escapingWriter(escapes: ReadonlyMap<string, string>, raw: CharSet): CharWriter {
  return (set) => {
    const plain = both(set, raw)
    const behind = [...escapes].filter(([char]) => has(set, char.codePointAt(0) ?? 0))
    const pieces = [
      ...(plain.length > 0 ? [charClass(plain)] : []),
      ...behind.map(([, text]) => literal(text)),
    ]
    return pieces.length === 0 ? null : choice(pieces)
  }
}

const hexControls = Array.from({ length: 0x20 }, (_, code) => String.fromCharCode(code))
  .filter((char) => !shortEscapes.has(char))
  .map((char): [string, string] => [char, JSON.stringify(char).slice(1, -1)])

/** `avoided` characters are written as escapes, wherever they stand. */
export function jsonNotation(rules: Rules, { avoided = [] }: { avoided?: CharSet } = {}): Notation {
  const space = rules.add('space', `" " | "\\n" [ \\t]{0,${indentMax}} | ""`)
  const hex = '[0-9a-fA-F]'
  const raw = without(without(everyChar, escaped), avoided)
  // Halves of a pair only together: alone they are no character.
  const anyChar = rules.add(
    'char',
    [
      charClass(raw),
      '"\\\\" ["\\\\/bfnrt]',
      `"\\\\u" ([0-9a-cA-CefEF] ${hex}{3} | [dD] [0-7] ${hex}{2})`,
      `"\\\\u" [dD] [89abAB] ${hex}{2} "\\\\u" [dD] [c-fC-F] ${hex}{2}`,
    ].join(' | '),
  )
  const avoidedChars = avoided.flatMap(([from, to]) =>
    Array.from({ length: to - from + 1 }, (_, index) => String.fromCodePoint(from + index)),
  )
  const escapes = new Map([...shortEscapes, ...hexControls, ...avoidedChars.map(hexEscape)])
  const char = escapingWriter(escapes, raw)
  const written = (value: unknown): string =>
    avoidedChars.reduce(
      (json, each) => json.replaceAll(each, hexEscape(each)[1]),
      JSON.stringify(value),
    )
  const text = rules.add('string', `"\\"" ${anyChar}* "\\""`)
  const quoted = (inside: Piece): Piece => sequence('"\\""', inside, '"\\""')
  const separator = sequence('","', space)
  const colon = '":" " "?'
  return {
    char,
    anyChar,
    text,
    quoted,
    value: written,
    object: {
      open: sequence('"{"', space),
      close: sequence(space, '"}"'),
      separator,
      member: (name, value) => sequence(literal(written(name)), colon, value),
      other: (taken, value) => {
        const name = taken.length === 0 ? text : quoted(otherText(rules, taken, { char, anyChar }))
        return sequence(name, colon, value)
      },
      named: (name, value) => sequence(name, colon, value),
    },
    array: { open: sequence('"["', space), close: sequence(space, '"]"'), separator },
    words: { true: 'true', false: 'false', null: 'null' },
  }
}

const hexEscape = (char: string): [string, string] => [
  char,
  `\\u${(char.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
]

/** As LFM2 writes calls: double quotes, and no escapes but those of one letter. */
export function pythonNotation(rules: Rules): Notation {
  const raw = without(everyChar, escaped)
  const char = escapingWriter(shortEscapes, raw)
  const anyChar = rules.add('char', [charClass(raw), '"\\\\" ["\\\\nrt]'].join(' | '))
  const text = rules.add('string', `"\\"" ${anyChar}* "\\""`)
  const quoted = (inside: Piece): Piece => sequence('"\\""', inside, '"\\""')
  const words = { true: 'True', false: 'False', null: 'None' }
  return {
    char,
    anyChar,
    text,
    quoted,
    value: (value) => pythonLiteral(value, words),
    object: {
      open: '"{"',
      close: '"}"',
      separator: '", "',
      member: (name, value) => {
        const key = pythonText(name)
        return key === null ? null : sequence(literal(`${key}: `), value)
      },
      other: (taken, value) =>
        sequence(quoted(otherText(rules, taken, { char, anyChar })), '": "', value),
      named: (name, value) => sequence(name, '": "', value),
    },
    array: { open: '"["', close: '"]"', separator: '", "' },
    words,
  }
}

function pythonText(text: string): string | null {
  const written = [...text].map((char) => shortEscapes.get(char) ?? char).join('')
  const hasControls = codePointsOf(written).some((code) => has(controls, code))
  return hasControls ? null : `"${written}"`
}

function pythonLiteral(value: unknown, words: Notation['words']): string | null {
  if (value === null) return words.null
  if (typeof value === 'boolean') return value ? words.true : words.false
  if (typeof value === 'string') return pythonText(value)
  if (typeof value !== 'object') return JSON.stringify(value)
  const parts = Array.isArray(value)
    ? value.map((item) => pythonLiteral(item, words))
    : Object.entries(value).map(([name, item]) => {
        const [key, written] = [pythonText(name), pythonLiteral(item, words)]
        return key === null || written === null ? null : `${key}: ${written}`
      })
  if (parts.includes(null)) return null
  return Array.isArray(value) ? `[${parts.join(', ')}]` : `{${parts.join(', ')}}`
}

const identifierStart = charsOf('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_')
const identifier = union(identifierStart, charsOf('0123456789'))

/** Names without quotes, other than these. */
export function otherIdentifier(rules: Rules, taken: readonly string[]): Piece {
  const writer = (set: CharSet): Piece | null => {
    const chars = both(set, identifier)
    return chars.length === 0 ? null : charClass(chars)
  }
  const anyChar = charClass(identifier)
  return otherText(rules, taken, { char: writer, anyChar, first: identifierStart })
}

export interface TextWriter {
  readonly char: CharWriter
  readonly anyChar: Piece
  /** What it begins with; without it, it may be empty. */
  readonly first?: CharSet
}

/** Names by their characters; `whole` where one ends. */
interface Branch {
  readonly next: Map<string, Branch>
  whole: boolean
}

function treeOf(names: readonly string[]): Branch {
  const root: Branch = { next: new Map(), whole: false }
  for (const name of names) {
    let branch = root
    for (const char of name) {
      const next = branch.next.get(char) ?? { next: new Map(), whole: false }
      branch.next.set(char, next)
      branch = next
    }
    branch.whole = true
  }
  return root
}

/** Text that is none of these: after their common beginning it goes another way, or ends. */
export function otherText(rules: Rules, taken: readonly string[], writer: TextWriter): Piece {
  const rest = rules.times(writer.anyChar, 0, null)
  const from = ({ next, whole }: Branch, allowed: CharSet, mayEnd: boolean): Piece => {
    const other = writer.char(without(allowed, charsOf([...next.keys()].join(''))))
    const pieces = [...next].flatMap(([char, branch]) => {
      const same = writer.char(both(allowed, charsOf(char)))
      return same === null ? [] : [sequence(same, from(branch, everyChar, true))]
    })
    if (other !== null) pieces.push(sequence(other, rest))
    if (!whole && mayEnd) pieces.push('""')
    return rules.add('other', pieces.join(' | '))
  }
  return from(treeOf(taken), writer.first ?? everyChar, writer.first === undefined)
}

/** Notations in which text stands between marks, without any escapes. */
import { both, type CharSet, charsOf, everyChar, without } from './char-set.ts'
import { freeText } from './free-text.ts'
import { charClass, literal, type Piece, type Rules, sequence } from './gbnf.ts'
import { jsonNotation, type Notation, otherIdentifier } from './notation.ts'
import type { CharWriter } from './pattern.ts'

/** Every mark begins with it, so that text of a certain length has none of them. */
const markStart = charsOf('<')
const unmarked = without(everyChar, markStart)

/** Where a set leaves a choice, it does not begin a mark. */
const rawChar: CharWriter = (set: CharSet): Piece | null => {
  const safe = both(set, unmarked)
  if (set.length === 0) return null
  return charClass(safe.length > 0 ? safe : set)
}

/** Gemma: keys stand bare, text between marks, everything else as in JSON. */
export function gemmaNotation(rules: Rules, mark: string): Notation {
  const json = jsonNotation(rules)
  const bare = /^[A-Za-z_][\w.-]*$/
  const marked = (text: string): string | null =>
    text.includes(mark) ? null : `${mark}${text}${mark}`
  const key = (name: string): string | null => (bare.test(name) ? name : marked(name))
  const value = (each: unknown): string | null => {
    if (typeof each === 'string') return marked(each)
    if (typeof each !== 'object' || each === null) return JSON.stringify(each)
    const parts = Array.isArray(each)
      ? each.map(value)
      : Object.entries(each).map(([name, member]) => {
          const [written, inside] = [key(name), value(member)]
          return written === null || inside === null ? null : `${written}:${inside}`
        })
    if (parts.includes(null)) return null
    return Array.isArray(each) ? `[${parts.join(',')}]` : `{${parts.join(',')}}`
  }
  return {
    char: rawChar,
    anyChar: charClass(unmarked),
    text: sequence(
      literal(mark),
      freeText(rules, [{ text: mark, behind: '""' }], { mayEnd: false }),
    ),
    quoted: (inside) => sequence(literal(mark), inside, literal(mark)),
    value,
    object: {
      open: '"{"',
      close: '"}"',
      separator: '","',
      member: (name, piece) => {
        const written = key(name)
        return written === null ? null : sequence(literal(`${written}:`), piece)
      },
      other: (taken, piece) => sequence(otherIdentifier(rules, taken), '":"', piece),
      named: null,
    },
    array: { open: '"["', close: '"]"', separator: '","' },
    words: json.words,
  }
}

/**
 * One argument as bare text up to its end mark, which belongs to it. Shorter ends are what the
 * family would take for it too.
 */
export function bareTextNotation(
  rules: Rules,
  end: string,
  shorterEnds: readonly string[],
): Notation {
  const json = jsonNotation(rules)
  const markers = [
    { text: end, behind: '""' },
    ...shorterEnds.map((text) => ({ text, behind: null })),
  ]
  const isWritable = (text: string): boolean =>
    ![end, ...shorterEnds].some((mark) => text.includes(mark))
  return {
    ...json,
    char: rawChar,
    anyChar: charClass(unmarked),
    text: freeText(rules, markers, { mayEnd: false }),
    quoted: (inside) => sequence(inside, literal(end)),
    value: (value) => (typeof value === 'string' && isWritable(value) ? value + end : null),
  }
}

/** JSON in which no mark can stand: its first character is written as an escape. */
export function escapedJsonNotation(rules: Rules): Notation {
  return jsonNotation(rules, { avoided: markStart })
}

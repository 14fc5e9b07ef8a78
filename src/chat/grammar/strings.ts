/** A schema's texts: by pattern, by format, or by length. Pure. */
import type { Facts } from './facts.ts'
import { formatPattern } from './formats.ts'
import type { Piece, Rules } from './gbnf.ts'
import type { Notation } from './notation.ts'
import { type Lengths, lengthsOf, patternPiece, readPattern } from './pattern.ts'
import type { Regex } from './regex.ts'
import { pathTo, schemaError } from './schema-error.ts'

/** Null: no text fits. */
export function stringPiece(rules: Rules, facts: Facts, notation: Notation): Piece | null {
  const { minLength: min, maxLength: max } = facts
  if (max !== null && min > max) return null
  const found = regexOf(facts)
  if (found !== null) {
    checkLength(facts, lengthsOf(found.regex, 'search'))
    const inside = patternPiece(rules, found.regex, found.path, {
      match: 'search',
      char: notation.char,
      anyChar: notation.anyChar,
    })
    return inside === null ? null : rules.add('pattern', notation.quoted(inside))
  }
  if (min === 0 && max === null) return notation.text
  return rules.add('string', notation.quoted(rules.times(notation.anyChar, min, max)))
}

/** A format that we write stands in for a pattern that we cannot read: they say the same twice. */
function regexOf({ pattern, format, path }: Facts): { regex: Regex; path: string } | null {
  const known = formatPattern(format)
  const place = pathTo(path, 'format')
  const ofFormat = known === null ? null : { regex: readPattern(known, place), path: place }
  if (pattern === null) return ofFormat
  const where = pathTo(path, 'pattern')
  try {
    return { regex: readPattern(pattern, where), path: where }
  } catch (error) {
    if (ofFormat !== null) return ofFormat
    throw error
  }
}

/** A grammar cannot count and match at once: the pattern itself has to keep the length. */
function checkLength({ path, minLength, maxLength }: Facts, lengths: Lengths): void {
  const isShort = lengths.min < minLength
  const isLong = maxLength !== null && (lengths.max === null || lengths.max > maxLength)
  if (!isShort && !isLong) return
  throw schemaError(
    pathTo(path, isShort ? 'minLength' : 'maxLength'),
    'cannot be held to beside this `pattern` or `format`',
    'Write the length into the pattern, as in ^[a-z]{2,8}$.',
  )
}

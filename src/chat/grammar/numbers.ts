/** A schema's numbers. Pure. */
import { decimalsBetween } from './decimals.ts'
import type { Facts, Limit } from './facts.ts'
import type { Piece, Rules } from './gbnf.ts'
import { digits, integerDigits, integersBetween, multiplesOf } from './integers.ts'
import { pathTo, schemaError } from './schema-error.ts'

const fractionDigits = 10

/** From here on whole numbers are no longer exact, and none are written. */
const farthest = 10 ** integerDigits
/** So many digits behind the point a limit may have. */
const limitDigits = 20

/** Null: no number fits. Throws PREFIXD_E_SCHEMA for what no grammar can follow. */
export function numberPiece(rules: Rules, asked: Facts, wholeOnly: boolean): Piece | null {
  const facts = withinReach(asked)
  const { minimum, maximum, multipleOf } = facts
  if (wholeOnly || (multipleOf !== null && Number.isInteger(multipleOf))) {
    return wholeNumbers(rules, facts)
  }
  if (multipleOf !== null) {
    const places = decimalPlaces(multipleOf)
    if (places === null) throw noMultiple(facts)
    return decimalsBetween(rules, { minimum, maximum, fractionDigits: places })
  }
  if (minimum === null && maximum === null) return freeNumber(rules)
  return decimalsBetween(rules, { minimum, maximum, fractionDigits })
}

/** Limits beyond all numbers that are written say nothing; those that leave none are refused. */
function withinReach(facts: Facts): Facts {
  const { minimum, maximum, path } = facts
  const isFarLow = minimum !== null && minimum.value <= -farthest
  const isFarHigh = maximum !== null && maximum.value >= farthest
  const reached = {
    ...facts,
    minimum: isFarLow ? null : minimum,
    maximum: isFarHigh ? null : maximum,
  }
  for (const word of ['minimum', 'maximum'] as const) {
    const limit = reached[word]
    if (limit === null) continue
    const digitCount = Math.max(0, -Math.floor(Math.log10(Math.abs(limit.value) || 1)))
    if (Math.abs(limit.value) < farthest && digitCount <= limitDigits) continue
    throw schemaError(pathTo(path, word), `is ${limit.value}, which has too many digits to count`)
  }
  return reached
}

function freeNumber(rules: Rules): Piece {
  const whole = `("0" | [1-9] ${digits(0, integerDigits - 1)})`
  const fraction = `("." ${digits(1, fractionDigits + 5)})?`
  return rules.add('number', `"-"? ${whole} ${fraction} ([eE] [-+]? ${digits(1, 2)})?`)
}

function wholeNumbers(rules: Rules, facts: Facts): Piece | null {
  const range = { min: firstFrom(facts.minimum), max: lastTo(facts.maximum) }
  const step = facts.multipleOf
  // A whole number is a multiple of a half, of a tenth and of one.
  if (step === null || Number.isInteger(1 / step)) return integersBetween(rules, range)
  if (!Number.isInteger(step)) throw noMultiple(facts)
  if (range.min !== null && range.max !== null && range.min > range.max) return null
  const piece = multiplesOf(BigInt(step), rules, range)
  if (piece === null) throw noMultiple(facts)
  return piece
}

const firstFrom = (limit: Limit | null): bigint | null => {
  if (limit === null) return null
  const whole = Math.ceil(limit.value)
  return BigInt(limit.exclusive && whole === limit.value ? whole + 1 : whole)
}
const lastTo = (limit: Limit | null): bigint | null => {
  if (limit === null) return null
  const whole = Math.floor(limit.value)
  return BigInt(limit.exclusive && whole === limit.value ? whole - 1 : whole)
}

/** 0.01 → 2; null where the step is no tenth, hundredth, … */
function decimalPlaces(step: number): number | null {
  for (let places = 1; places <= fractionDigits; places += 1) {
    if (Number(`1e-${places}`) === step) return places
  }
  return null
}

const noMultiple = ({ path, multipleOf }: Facts): Error =>
  schemaError(
    pathTo(path, 'multipleOf'),
    `is ${multipleOf}, which no grammar can follow in this range`,
    'Use 0.1, 0.01, …, a whole number of at most 64, or both limits; or check it in your program.',
  )

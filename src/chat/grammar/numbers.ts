/** A schema's numbers. Pure. */
import { decimalsBetween } from './decimals.ts'
import type { Facts, Limit } from './facts.ts'
import type { Piece, Rules } from './gbnf.ts'
import { digits, integerDigits, integersBetween, multiplesOf } from './integers.ts'
import { pathTo, schemaError } from './schema-error.ts'

const fractionDigits = 10

/** Null: no number fits. Throws PREFIXD_E_SCHEMA for a `multipleOf` that no grammar can follow. */
export function numberPiece(rules: Rules, facts: Facts, wholeOnly: boolean): Piece | null {
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

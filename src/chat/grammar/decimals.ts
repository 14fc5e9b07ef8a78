/**
 * Numbers with a fraction in a range, digit by digit and without an exponent. A number above zero
 * is its whole part, which stands between those of the limits, and a fraction, which only matters
 * where the whole part is a limit's own. Pure.
 */
import type { Limit } from './facts.ts'
import { choice, literal, type Piece, type Rules, sequence } from './gbnf.ts'
import { digitClass, digits, digitsBetween, integerDigits } from './integers.ts'

export interface DecimalRange {
  readonly minimum: Limit | null
  readonly maximum: Limit | null
  /** Most digits behind the point. */
  readonly fractionDigits: number
}

/** A limit as digits; `fraction` has no zeros at its end. */
interface Decimal {
  readonly negative: boolean
  readonly whole: bigint
  readonly fraction: string
  readonly exclusive: boolean
}

const largest: Limit = { value: 10 ** integerDigits - 1, exclusive: false }

/** Null: no number is in the range. */
export function decimalsBetween(rules: Rules, range: DecimalRange): Piece | null {
  const { minimum, maximum, fractionDigits } = range
  const low = toDecimal(minimum ?? { ...largest, value: -largest.value })
  const high = toDecimal(maximum ?? largest)
  const zero: Decimal = { negative: false, whole: 0n, fraction: '', exclusive: false }
  const pieces: Piece[] = []
  // -0 is 0: the negative side has it only where 0 itself is in the range.
  if (!high.negative) {
    pieces.push(...positives(low.negative ? zero : low, high, fractionDigits))
  }
  if (low.negative) {
    const least = high.negative ? { ...high, negative: false } : { ...zero, exclusive: true }
    const most = { ...low, negative: false }
    pieces.push(...positives(least, most, fractionDigits).map((each) => sequence('"-"', each)))
  }
  return pieces.length === 0 ? null : rules.add('number', choice(pieces))
}

/** Digits of a number, none of them as an exponent. */
function toDecimal({ value, exclusive }: Limit): Decimal {
  const [mantissa = '', exponent = '0'] = Math.abs(value).toString().split('e')
  const [before = '', after = ''] = mantissa.split('.')
  const shift = Number(exponent)
  const all = before + after
  const point = before.length + shift
  const padded = point < 0 ? '0'.repeat(-point) + all : all.padEnd(point, '0')
  const at = Math.max(point, 0)
  const fraction = padded.slice(at).replace(/0+$/, '')
  return { negative: value < 0, whole: BigInt(padded.slice(0, at) || '0'), fraction, exclusive }
}

/** Both limits are not negative. */
function positives(low: Decimal, high: Decimal, most: number): Piece[] {
  const places = Math.max(most, low.fraction.length, high.fraction.length)
  const anyFraction = most === 0 ? '' : `("." ${digits(1, most)})?`
  const whole = (value: bigint): Piece => literal(value.toString())
  if (low.whole > high.whole) return []
  if (low.whole === high.whole) {
    const middle = fractionBetween(low, high, places)
    return middle === null ? [] : [sequence(whole(low.whole), middle)]
  }
  const above = fractionFrom(low.fraction, low.exclusive, places)
  const below = fractionTo(high.fraction, high.exclusive, places)
  const between = low.whole + 1n <= high.whole - 1n
  return [
    ...(above === null ? [] : [sequence(whole(low.whole), above)]),
    ...(between ? [sequence(digitsBetween(low.whole + 1n, high.whole - 1n), anyFraction)] : []),
    ...(below === null ? [] : [sequence(whole(high.whole), below)]),
  ]
}

/** What may stand behind a whole part that both limits share; null: nothing. */
function fractionBetween(low: Decimal, high: Decimal, places: number): Piece | null {
  if (low.fraction === high.fraction) {
    if (low.exclusive || high.exclusive) return null
    return low.fraction === '' ? zeros(places) : exactly(low.fraction, places)
  }
  const length = Math.max(low.fraction.length, high.fraction.length)
  const [from, to] = [low.fraction.padEnd(length, '0'), high.fraction.padEnd(length, '0')]
  if (from > to) return null
  const ends = digitsFromTo(from, to, places, low.exclusive, high.exclusive)
  const isWholeIn = low.fraction === '' && !low.exclusive
  if (ends === null) return isWholeIn ? '' : null
  return isWholeIn ? `("." ${ends})?` : sequence('"."', ends)
}

const zeros = (places: number): Piece => (places === 0 ? '' : `("." "0"{1,${places}})?`)
const exactly = (fraction: string, places: number): Piece =>
  sequence(literal(`.${fraction}`), moreZeros(places - fraction.length))
const moreZeros = (count: number): Piece => (count <= 0 ? '' : `"0"{0,${count}}`)
const moreDigits = (count: number): Piece => (count <= 0 ? '' : `[0-9]{0,${count}}`)

/** A fraction from this one upwards, the point included; null: there is none. */
function fractionFrom(fraction: string, exclusive: boolean, places: number): Piece | null {
  if (fraction === '' && !exclusive) return places === 0 ? '' : `("." ${digits(1, places)})?`
  const ends = digitsFrom(fraction, exclusive, places)
  return ends === null ? null : sequence('"."', ends)
}

/** A fraction up to this one; without a fraction the number is just its whole part. */
function fractionTo(fraction: string, exclusive: boolean, places: number): Piece | null {
  if (fraction === '') return exclusive ? null : zeros(places)
  const ends = digitsTo(fraction, exclusive, places)
  return ends === null ? '' : `("." ${ends})?`
}

/** Digits that make a fraction of at least `low`; null: there are none. */
function digitsFrom(low: string, exclusive: boolean, places: number): Piece | null {
  if (low === '') {
    if (!exclusive) return moreDigits(places)
    return places === 0 ? null : sequence('"0"*', '[1-9]', moreDigits(places - 1))
  }
  if (places === 0) return null
  const first = Number(low[0])
  const rest = digitsFrom(low.slice(1), exclusive, places - 1)
  return anyOfThese([
    ...(first < 9 ? [sequence(digitClass(first + 1, 9), moreDigits(places - 1))] : []),
    ...(rest === null ? [] : [sequence(literal(String(first)), rest)]),
  ])
}

/** Digits that make a fraction of at most `high`, at least one; null: there are none. */
function digitsTo(high: string, exclusive: boolean, places: number): Piece | null {
  if (places === 0) return null
  if (high === '') return exclusive ? null : `"0"{1,${places}}`
  const first = Number(high[0])
  const rest = digitsTo(high.slice(1), exclusive, places - 1)
  // The digits so far are less than the limit, or, at its end, the limit itself.
  const mayEnd = high.length > 1 || !exclusive
  const same = literal(String(first))
  return anyOfThese([
    ...(first > 0 ? [sequence(digitClass(0, first - 1), moreDigits(places - 1))] : []),
    ...(mayEnd
      ? [rest === null ? same : sequence(same, `(${rest})?`)]
      : rest === null
        ? []
        : [sequence(same, rest)]),
  ])
}

/** Digits of a fraction between both, which are equally long and not the same. */
function digitsFromTo(
  low: string,
  high: string,
  places: number,
  lowExclusive: boolean,
  highExclusive: boolean,
): Piece | null {
  const [first, last] = [Number(low[0]), Number(high[0])]
  const [lowRest, highRest] = [low.slice(1), high.slice(1)]
  if (first === last) {
    const rest = digitsFromTo(lowRest, highRest, places - 1, lowExclusive, highExclusive)
    const isLowDone = /^0*$/.test(lowRest) && !lowExclusive
    const same = literal(String(first))
    if (rest === null) return isLowDone ? same : null
    return sequence(same, isLowDone ? `(${rest})?` : rest)
  }
  const from = digitsFrom(lowRest.replace(/0+$/, ''), lowExclusive, places - 1)
  const to = digitsTo(highRest.replace(/0+$/, ''), highExclusive, places - 1)
  const highEnds = highRest.replace(/0+$/, '') !== '' || !highExclusive
  const lastDigit = literal(String(last))
  return anyOfThese([
    ...(from === null ? [] : [sequence(literal(String(first)), from)]),
    ...(first + 1 <= last - 1
      ? [sequence(digitClass(first + 1, last - 1), moreDigits(places - 1))]
      : []),
    ...(highEnds ? [to === null ? lastDigit : sequence(lastDigit, `(${to})?`)] : []),
  ])
}

const anyOfThese = (pieces: readonly Piece[]): Piece | null =>
  pieces.length === 0 ? null : choice(pieces)

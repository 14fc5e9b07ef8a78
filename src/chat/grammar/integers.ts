/** Whole numbers in a range, digit by digit. Pure. */
import { alternatives, choice, literal, type Piece, type Rules, sequence } from './gbnf.ts'

/** So many digits every program reads exactly. */
export const integerDigits = 15
const largest = 10n ** BigInt(integerDigits) - 1n

/** Beyond this many values of a `multipleOf` its remainders are followed instead. */
const listedMultiples = 1000
const followedMultiples = 64

export interface IntegerRange {
  /** Null: as far as numbers are exact. */
  readonly min: bigint | null
  readonly max: bigint | null
}

/** Null: no number is in the range. */
export function integersBetween(rules: Rules, { min, max }: IntegerRange): Piece | null {
  const from = min ?? (max !== null && max < -largest ? max : -largest)
  const to = max ?? (min !== null && min > largest ? min : largest)
  if (from > to) return null
  const pieces: Piece[] = []
  if (to >= 0n) pieces.push(digitsBetween(from > 0n ? from : 0n, to))
  if (from < 0n) pieces.push(sequence('"-"', digitsBetween(to < 0n ? -to : 1n, -from)))
  return rules.add('integer', alternatives(pieces))
}

/** Null: it would take a grammar that is too large. */
export function multiplesOf(step: bigint, rules: Rules, range: IntegerRange): Piece | null {
  const { min, max } = range
  if (min !== null && max !== null && (max - min) / step <= BigInt(listedMultiples)) {
    const values: string[] = []
    const first = (min / step) * step + (min > 0n && min % step !== 0n ? step : 0n)
    for (let value = first; value <= max; value += step) values.push(value.toString())
    return values.length === 0 ? null : rules.add('multiple', alternatives(values.map(literal)))
  }
  const isWhole = min === null && max === null
  const isFromZero = max === null && (min === 0n || min === 1n)
  if (!(isWhole || isFromZero) || step > BigInt(followedMultiples)) return null
  const positive = multipleDigits(rules, Number(step))
  const pieces = [positive, ...(isWhole ? [sequence('"-"', positive)] : [])]
  return choice([...pieces, ...(min === 1n ? [] : ['"0"'])])
}

/** Digits without a zero in front, whose remainder is followed from digit to digit. */
function multipleDigits(rules: Rules, step: number): Piece {
  const known = new Map<string, Piece>()
  /** What may follow a number of this remainder; remainders that cannot end are not gone to. */
  const rest = (remainder: number, digitsLeft: number): Piece => {
    const key = `${remainder} ${digitsLeft}`
    const before = known.get(key)
    if (before !== undefined) return before
    const pieces = digitsLeft === 0 ? [] : stepsFrom(remainder, 0, digitsLeft)
    const name = rules.add('rest', [...pieces, ...(remainder === 0 ? ['""'] : [])].join(' | '))
    known.set(key, name)
    return name
  }
  const stepsFrom = (remainder: number, firstDigit: number, digitsLeft: number): Piece[] => {
    const digits = Array.from({ length: 10 - firstDigit }, (_, index) => index + firstDigit)
    const byRemainder = Map.groupBy(digits, (digit) => (remainder * 10 + digit) % step)
    return [...byRemainder]
      .filter(([next]) => canEnd(next, digitsLeft - 1, step))
      .map(([next, all]) => sequence(`[${all.join('')}]`, rest(next, digitsLeft - 1)))
  }
  return rules.add('multiple', alternatives(stepsFrom(0, 1, integerDigits)))
}

/** Can a number of this remainder still become a multiple? Some suffix of n digits always can. */
function canEnd(remainder: number, digitsLeft: number, step: number): boolean {
  const shift = 10 ** Math.min(digitsLeft, 3)
  const first = (remainder * shift) % step
  return remainder === 0 || (first === 0 ? 0 : step - first) < shift
}

/** `from` and `to` are not negative. */
export function digitsBetween(from: bigint, to: bigint): Piece {
  const pieces: Piece[] = []
  for (let low = from; low <= to; ) {
    const ends = 10n ** BigInt(low.toString().length) - 1n
    const isWhole = low === 0n ? false : low === 10n ** BigInt(low.toString().length - 1)
    if (isWhole && ends <= to) {
      const length = low.toString().length
      let longest = length
      while (10n ** BigInt(longest + 1) - 1n <= to) longest += 1
      pieces.push(sequence('[1-9]', digits(length - 1, longest - 1)))
      low = 10n ** BigInt(longest)
    } else {
      const high = ends < to ? ends : to
      pieces.push(equallyLong(low.toString(), high.toString()))
      low = ends + 1n
    }
  }
  return choice(pieces)
}

export function digits(min: number, max: number): Piece {
  if (max === 0) return ''
  if (min === max) return min === 1 ? '[0-9]' : `[0-9]{${min}}`
  return `[0-9]{${min},${max}}`
}

/** Numbers from `low` to `high`, which have the same number of digits. */
function equallyLong(low: string, high: string): Piece {
  if (low === '') return ''
  if (/^0*$/.test(low) && /^9*$/.test(high)) return digits(low.length, low.length)
  const [first, last] = [Number(low[0]), Number(high[0])]
  const [lowRest, highRest] = [low.slice(1), high.slice(1)]
  if (first === last) return sequence(literal(String(first)), equallyLong(lowRest, highRest))
  const zeros = '0'.repeat(lowRest.length)
  const nines = '9'.repeat(lowRest.length)
  const isLowWhole = lowRest === zeros
  const isHighWhole = highRest === nines
  const from = isLowWhole ? first : first + 1
  const to = isHighWhole ? last : last - 1
  return choice([
    ...(isLowWhole ? [] : [sequence(literal(String(first)), equallyLong(lowRest, nines))]),
    ...(from > to ? [] : [sequence(digitClass(from, to), digits(zeros.length, zeros.length))]),
    ...(isHighWhole ? [] : [sequence(literal(String(last)), equallyLong(zeros, highRest))]),
  ])
}

export const digitClass = (from: number, to: number): Piece =>
  from === to ? literal(String(from)) : `[${from}-${to}]`

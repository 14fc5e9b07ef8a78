/** Figures of several repetitions. Pure. */

/** The middle value, or the mean of the two in the middle. Throws for none. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** Linear between the two values around it; `at` from 0 to 1. Throws for no values. */
export function quantile(values: readonly number[], at: number): number {
  if (values.length === 0) throw new RangeError('no values were measured')
  const sorted = [...values].sort((a, b) => a - b)
  const place = (sorted.length - 1) * at
  const below = sorted[Math.floor(place)] as number
  const above = sorted[Math.ceil(place)] as number
  return below + (above - below) * (place - Math.floor(place))
}

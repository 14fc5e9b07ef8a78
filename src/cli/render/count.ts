/** Counts and shares for people. Sizes are `formatSize` of src/config/sizes.ts. */

/** E.g. `31,488`. */
export function formatCount(count: number): string {
  return Math.round(count).toLocaleString('en-US')
}

/** E.g. `612k`, `5.90M`, below ten thousand as `4,120`. */
export function formatCompact(count: number): string {
  if (count < 10_000) return formatCount(count)
  if (count < 999_500) return `${threeDigits(count / 1e3)}k`
  if (count < 999_500_000) return `${threeDigits(count / 1e6)}M`
  return `${threeDigits(count / 1e9)}G`
}

/** Share of a whole, e.g. `71.2%`; a whole of zero has no shares. */
export function formatShare(part: number, whole: number): string {
  return whole > 0 ? `${((100 * part) / whole).toFixed(1)}%` : '-'
}

/** E.g. `1 block`, `2,804 blocks`. */
export function formatPlural(count: number, singular: string, plural = `${singular}s`): string {
  return `${formatCount(count)} ${count === 1 ? singular : plural}`
}

/** Three significant digits without an exponent: 0.31, 9.83, 11.2, 148. */
export function threeDigits(value: number): string {
  const magnitude = Math.abs(value)
  if (magnitude >= 99.95) return value.toFixed(0)
  return value.toFixed(magnitude >= 9.995 ? 1 : 2)
}

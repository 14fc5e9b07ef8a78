/** Sizes as people write and read them. */

const powerOfUnit: Readonly<Record<string, number>> = {
  b: 1,
  kb: 1000,
  mb: 1000 ** 2,
  gb: 1000 ** 3,
  tb: 1000 ** 4,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
  kib: 1024,
  mib: 1024 ** 2,
  gib: 1024 ** 3,
  tib: 1024 ** 4,
}

/**
 * Bytes of `8GiB`, `500MB`, `1.5 GiB` or plain `1048576`; null when it is no size. `K`, `M`, `G`
 * and `T` alone are powers of 1024, as docker and java read them. Fractions of a byte are dropped.
 */
export function parseSize(text: string): number | null {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text)
  if (match === null) return null
  const unit = match[2] === '' ? 1 : powerOfUnit[(match[2] ?? '').toLowerCase()]
  if (unit === undefined) return null
  const sizeBytes = Math.floor(Number(match[1]) * unit)
  return Number.isSafeInteger(sizeBytes) ? sizeBytes : null
}

/** `93.8 MiB`: three significant digits, powers of 1024. */
export function formatSize(sizeBytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = sizeBytes
  let unitIndex = 0
  // 1023.5 would round to "1024 KiB"; it is already one of the next unit.
  while (value >= 1023.5 && unitIndex < units.length - 1) {
    value /= 1024
    unitIndex += 1
  }
  const decimals = unitIndex === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
  return `${value.toFixed(decimals).replace(/\.0+$/, '')} ${units[unitIndex]}`
}

/** The same bytes as `parseSize` reads them: `8GiB` where the unit fits, else `1234567`. */
export function writeSize(sizeBytes: number): string {
  const units = ['TiB', 'GiB', 'MiB', 'KiB'] as const
  const unit = units.find((each) => sizeBytes > 0 && sizeBytes % bytesOf(each) === 0)
  return unit === undefined ? String(sizeBytes) : `${sizeBytes / bytesOf(unit)}${unit}`
}

const bytesOf = (unit: string): number => powerOfUnit[unit.toLowerCase()] as number

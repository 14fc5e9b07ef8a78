/** Aligned text columns, and numbers as people read them. Pure. */

/** Columns whose cells are all numbers, units included, are aligned to the right. */
export function renderTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string[] {
  const columns = head.map((title, at) => {
    const cells = rows.map((row) => row[at] ?? '')
    const isNumeric = cells.every((cell) => /^([\d,.]+( \S+)?|–|)$/.test(cell))
    const width = Math.max(title.length, ...cells.map((cell) => cell.length))
    return { isNumeric, width }
  })
  const line = (cells: readonly string[]): string =>
    columns
      .map(({ isNumeric, width }, at) => {
        const cell = cells[at] ?? ''
        return isNumeric ? cell.padStart(width) : cell.padEnd(width)
      })
      .join('  ')
      .trimEnd()
  return [line(head), ...rows.map(line)]
}

export const formatCount = (count: number): string => Math.round(count).toLocaleString('en-US')

/** `52.1 s`, `483 ms`, `8.6 ms`. */
export function formatMs(ms: number): string {
  if (ms >= 9_950) return `${(ms / 1000).toFixed(1)} s`
  if (ms >= 995) return `${(ms / 1000).toFixed(2)} s`
  return ms >= 99.5 ? `${Math.round(ms)} ms` : `${ms.toFixed(1)} ms`
}

/** Three significant digits: `1.04`, `0.00934`, `112`. */
export function formatRatio(ratio: number): string {
  return ratio >= 99.95 ? Math.round(ratio).toString() : ratio.toPrecision(3)
}

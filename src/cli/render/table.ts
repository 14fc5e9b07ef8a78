/** Borderless tables in the manner of docker, kubectl and ollama. */
import { cellCount, pad, printable, shorten } from './text.ts'

export interface Column<Row> {
  readonly title: string
  /** Untrusted text is welcome: the table escapes it. */
  readonly value: (row: Row) => string
  /** Numbers are right-aligned. */
  readonly align?: 'left' | 'right'
  /** The highest number is dropped first when the terminal is narrow; 0 always stays. */
  readonly priority: number
  /** Longer values are cut in the middle. */
  readonly maxCells?: number
}

const gap = '   '

/**
 * The lines of a table, header first. Columns are dropped, never wrapped, until a line fits into
 * `width` cells; a width of Infinity (no terminal) keeps all of them.
 */
export function tableLines<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width: number,
  styleHeader: (line: string) => string = (line) => line,
): string[] {
  const laidOut = columns.map((column) => layOut(column, rows, width))
  const kept = fitting(laidOut, width)
  const line = (cellOf: (column: LaidOut) => string) =>
    kept
      .map((column) => pad(cellOf(column), column.cells, column.align))
      .join(gap)
      .trimEnd()
  return [
    styleHeader(line((column) => column.title)),
    ...rows.map((_, index) => line((column) => column.values[index] ?? '')),
  ]
}

interface LaidOut {
  readonly title: string
  readonly values: readonly string[]
  readonly align: 'left' | 'right'
  readonly priority: number
  readonly cells: number
}

function layOut<Row>(column: Column<Row>, rows: readonly Row[], width: number): LaidOut {
  // A pipe has no width: a script that reads the table must see whole values.
  const maxCells = width === Number.POSITIVE_INFINITY ? width : (column.maxCells ?? width)
  const values = rows.map((row) => shorten(printable(column.value(row)), maxCells))
  return {
    title: column.title,
    values,
    align: column.align ?? 'left',
    priority: column.priority,
    cells: Math.max(cellCount(column.title), ...values.map(cellCount)),
  }
}

function fitting(columns: readonly LaidOut[], width: number): LaidOut[] {
  let kept = [...columns]
  while (lineCells(kept) > width) {
    const lowest = kept.reduce((worst, column) =>
      column.priority >= worst.priority ? column : worst,
    )
    if (lowest.priority === 0) break
    kept = kept.filter((column) => column !== lowest)
  }
  return kept
}

function lineCells(columns: readonly LaidOut[]): number {
  const cells = columns.reduce((sum, column) => sum + column.cells, 0)
  return cells + gap.length * Math.max(0, columns.length - 1)
}

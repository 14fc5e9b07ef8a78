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
  /** Before any column is dropped, this one is cut to as little as this. */
  readonly minCells?: number
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
      .map((column) => pad(shorten(cellOf(column), column.cells), column.cells, column.align))
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
  readonly minCells: number
}

function layOut<Row>(column: Column<Row>, rows: readonly Row[], width: number): LaidOut {
  // A pipe has no width: a script that reads the table must see whole values.
  const maxCells = width === Number.POSITIVE_INFINITY ? width : (column.maxCells ?? width)
  const values = rows.map((row) => shorten(printable(column.value(row)), maxCells))
  const cells = Math.max(cellCount(column.title), ...values.map(cellCount))
  return {
    title: column.title,
    values,
    align: column.align ?? 'left',
    priority: column.priority,
    cells,
    minCells: Math.min(cells, column.minCells ?? cells),
  }
}

function fitting(columns: readonly LaidOut[], width: number): LaidOut[] {
  let kept = columns.map((column) => ({ ...column, cells: column.minCells }))
  while (lineCells(kept) > width) {
    const lowest = kept.reduce((worst, column) =>
      column.priority >= worst.priority ? column : worst,
    )
    if (lowest.priority === 0) break
    kept = kept.filter((column) => column !== lowest)
  }
  return widened(kept, columns, width)
}

/** Gives the room that is left back to the columns that were cut, the first one first. */
function widened(kept: readonly LaidOut[], all: readonly LaidOut[], width: number): LaidOut[] {
  let spare = Math.max(0, width - lineCells(kept))
  return kept.map((column) => {
    const whole = all.find(({ title }) => title === column.title)?.cells ?? column.cells
    const more = Math.min(spare, whole - column.cells)
    spare -= more
    return { ...column, cells: column.cells + more }
  })
}

function lineCells(columns: readonly LaidOut[]): number {
  const cells = columns.reduce((sum, column) => sum + column.cells, 0)
  return cells + gap.length * Math.max(0, columns.length - 1)
}

/** Makes, judges and shows figures. Pure. */
import { median } from './median.ts'
import type { Figure } from './part.ts'
import { formatRatio, renderTable } from './table.ts'

/** A value and its limit, measured back to back. */
export interface Pair {
  readonly value: number
  readonly limit: number
}

/** Medians; the ratio is that of the pairs, so that what disturbs both leaves it as it is. */
export function pairedFigure(
  about: Pick<Figure, 'id' | 'what' | 'unit' | 'promise'> & { readonly limitWhat: string },
  pairs: readonly Pair[],
): Figure {
  const { limitWhat, ...rest } = about
  return {
    ...rest,
    value: median(pairs.map(({ value }) => value)),
    limit: { what: limitWhat, value: median(pairs.map(({ limit }) => limit)) },
    ratio: median(pairs.map(({ value, limit }) => value / limit)),
  }
}

/** A figure that is promised as it is. */
export function plainFigure(
  about: Pick<Figure, 'id' | 'what' | 'unit' | 'promise'>,
  value: number,
): Figure {
  return { ...about, value, limit: null, ratio: value }
}

/** Null where nothing is promised. */
export function isKept({ ratio, promise }: Figure): boolean | null {
  if (promise === null) return null
  return promise.bound === 'at least' ? ratio >= promise.value : ratio <= promise.value
}

export function figureLines(figures: readonly Figure[]): string[] {
  const rows = figures.map((figure) => {
    const { what, value, unit, limit, ratio, promise } = figure
    const kept = isKept(figure)
    return [
      what,
      `${formatRatio(value)} ${unit}`.trim(),
      limit === null ? '' : `${formatRatio(limit.value)} ${unit}  ${limit.what}`,
      limit === null ? '' : formatRatio(ratio),
      promise === null ? '' : `${promise.bound === 'at least' ? '≥' : '≤'} ${promise.value}`,
      kept === null ? '' : kept ? 'kept' : 'MISSED',
    ]
  })
  return renderTable(['figure', 'measured', 'beside', 'ratio', 'promised', ''], rows)
}

export function figuresJson(figures: readonly Figure[]) {
  const ratios = Object.fromEntries(figures.map(({ id, ratio }) => [id, ratio]))
  return { ratios, figures: figures.map((figure) => ({ ...figure, kept: isKept(figure) })) }
}

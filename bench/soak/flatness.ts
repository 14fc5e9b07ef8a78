/**
 * Does a series of measurements stay where it is? By the median of all slopes between two of its
 * points (Theil and Sen), which a few outliers do not move. Pure.
 */
import { median } from '../median.ts'

export interface Point {
  readonly atMs: number
  readonly value: number
}

export interface Tolerance {
  /** Growth over the whole series that still counts as flat: this part of its median, … */
  readonly share: number
  /** … or so much, whichever is more. */
  readonly least: number
}

export interface Flatness {
  readonly median: number
  readonly max: number
  /** By the slope, from the first point to the last. */
  readonly growth: number
  readonly isFlat: boolean
}

/** The first part of a run is left out: code is compiled, tiers and pools fill. */
export const warmUpShare = 0.4

export const settled = (points: readonly Point[]): Point[] =>
  points.slice(Math.floor(points.length * warmUpShare))

export function slopeOf(points: readonly Point[]): number {
  const slopes: number[] = []
  for (const [at, from] of points.entries()) {
    for (const to of points.slice(at + 1)) {
      if (to.atMs > from.atMs) slopes.push((to.value - from.value) / (to.atMs - from.atMs))
    }
  }
  return slopes.length === 0 ? 0 : median(slopes)
}

/** Shrinking is no worry. */
export function flatnessOf(points: readonly Point[], { share, least }: Tolerance): Flatness {
  const values = points.map(({ value }) => value)
  const middle = median(values)
  const spanMs = (points.at(-1)?.atMs ?? 0) - (points[0]?.atMs ?? 0)
  const growth = slopeOf(points) * spanMs
  const isFlat = growth <= Math.max(least, middle * share)
  return { median: middle, max: Math.max(...values), growth, isFlat }
}

/** All that is pinned at one moment, as the two places have it that remember it. Pure. */
import type { Pin } from './types.ts'

export interface PinSet {
  /** Greater with each change, whatever the clock says; 0: nobody knows. */
  readonly changedAtMs: number
  /** In the order in which they were pinned. */
  readonly pins: readonly Pin[]
}

export const noPins: PinSet = { changedAtMs: 0, pins: [] }

export const changedPins = (before: PinSet, pins: readonly Pin[], nowMs: number): PinSet => ({
  changedAtMs: Math.max(nowMs, before.changedAtMs + 1),
  pins: [...pins].sort((a, b) => a.createdAtMs - b.createdAtMs || (a.hash < b.hash ? -1 : 1)),
})

/**
 * Which of both to believe: the one that was changed later, whole. Where both say the same time the
 * catalog's: an older prefixd changes only that, and does not say when.
 */
export function latestPins(inCatalog: PinSet, inIndex: PinSet, nowMs: number): PinSet {
  const latest = inIndex.changedAtMs > inCatalog.changedAtMs ? inIndex : inCatalog
  const isUndated = latest.changedAtMs === 0 && latest.pins.length > 0
  return isUndated ? { ...latest, changedAtMs: nowMs } : latest
}

export const encodePins = ({ changedAtMs, pins }: PinSet): string =>
  JSON.stringify({ changedAtMs, pins })

/** Throws for anything but what `encodePins` has made. */
export function decodePins(text: string): PinSet {
  const { changedAtMs, pins } = JSON.parse(text) as PinSet
  if (!isTime(changedAtMs) || !Array.isArray(pins) || !pins.every(isPin)) {
    throw new Error('it is no list of pins')
  }
  return { changedAtMs, pins }
}

const isTime = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0

function isPin(value: unknown): value is Pin {
  const { hash, untilMs, createdAtMs } = (value ?? {}) as Partial<Pin>
  const isNamed = typeof hash === 'string' && /^[0-9a-f]{16}$/.test(hash)
  return isNamed && (untilMs === null || isTime(untilMs)) && isTime(createdAtMs)
}

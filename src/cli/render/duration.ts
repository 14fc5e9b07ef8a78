/** Times for people, and the ages that people type. */
import { threeDigits } from './count.ts'

const secondMs = 1000
const minuteMs = 60 * secondMs
const hourMs = 60 * minuteMs
const dayMs = 24 * hourMs

/** E.g. `0 ms`, `0.8 ms`, `184 ms`, `1.66 s`, `1m 22s`, `2h 51m`, `3d 4h`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0 ms'
  if (ms < 9.95) return `${ms.toFixed(1)} ms`
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < minuteMs) return `${threeDigits(ms / secondMs)} s`
  if (ms < hourMs) return twoUnits(ms, minuteMs, 'm', secondMs, 's')
  if (ms < dayMs) return twoUnits(ms, hourMs, 'h', minuteMs, 'm')
  return twoUnits(ms, dayMs, 'd', hourMs, 'h')
}

function twoUnits(ms: number, big: number, bigName: string, small: number, smallName: string) {
  const rest = Math.floor((ms % big) / small)
  return `${Math.floor(ms / big)}${bigName}${rest === 0 ? '' : ` ${rest}${smallName}`}`
}

/** How long ago, in one unit: `now`, `4 s ago`, `3 min ago`, `2 h ago`, `1 d ago`. */
export function formatAge(ms: number): string {
  if (ms < secondMs) return 'now'
  if (ms < minuteMs) return `${Math.floor(ms / secondMs)} s ago`
  if (ms < hourMs) return `${Math.floor(ms / minuteMs)} min ago`
  if (ms < dayMs) return `${Math.floor(ms / hourMs)} h ago`
  return `${Math.floor(ms / dayMs)} d ago`
}

/** Local time of day, e.g. `13:41:02`. */
export function formatClock(atMs: number): string {
  const at = new Date(atMs)
  return [at.getHours(), at.getMinutes(), at.getSeconds()]
    .map((part) => String(part).padStart(2, '0'))
    .join(':')
}

/** Of days and requests long ago, e.g. `2026-11-24 13:41:02 UTC`. */
export const formatMoment = (atMs: number): string =>
  `${new Date(atMs).toISOString().slice(0, 'yyyy-mm-ddThh:mm:ss'.length).replace('T', ' ')} UTC`

const ageUnitsMs: Readonly<Record<string, number>> = {
  s: secondMs,
  m: minuteMs,
  min: minuteMs,
  h: hourMs,
  d: dayMs,
  w: 7 * dayMs,
}

/** Milliseconds of an age such as `90s`, `30m`, `12h`, `7d` or `2w`; null where it is none. */
export function parseAge(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]+)$/.exec(text.trim().toLowerCase())
  const unitMs = match?.[2] === undefined ? undefined : ageUnitsMs[match[2]]
  if (unitMs === undefined) return null
  const ms = Number(match?.[1]) * unitMs
  return ms > 0 && ms <= Number.MAX_SAFE_INTEGER ? Math.round(ms) : null
}

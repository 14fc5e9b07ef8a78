/**
 * Every table has an end: rows that are too old go, and the oldest of too many. A few of them in
 * one transaction, so that nobody waits for it.
 */
import { limits } from '../config/limits.ts'
import type { CatalogFile } from './catalog-file.ts'

interface Bound {
  readonly table: string
  /** Rows are removed by these, and `time` says how old they are. */
  readonly key: string
  readonly time: string
  readonly rows: number
  readonly ageMs: number
}

const bounds: readonly Bound[] = [
  {
    table: 'requests',
    key: 'number',
    time: 'at_ms',
    rows: limits.catalogRequests,
    ageMs: limits.catalogRequestsMs,
  },
  {
    table: 'ended_sessions',
    key: 'rowid',
    time: 'ended_ms',
    rows: limits.catalogRequests,
    ageMs: limits.catalogRequestsMs,
  },
  {
    table: 'totals',
    key: 'start_ms, span_ms, model',
    time: 'start_ms',
    rows: limits.catalogTotals,
    ageMs: limits.catalogTotalsMs,
  },
  {
    table: 'prefixes',
    key: 'hash',
    time: 'used_ms',
    rows: limits.catalogPrefixes,
    ageMs: limits.catalogPrefixesMs,
  },
  {
    table: 'ghosts',
    key: 'hash',
    time: 'evicted_ms',
    rows: limits.catalogGhosts,
    ageMs: limits.catalogGhostsMs,
  },
  {
    table: 'wants',
    key: 'day_ms, tier, more_bytes',
    time: 'day_ms',
    rows: limits.catalogWants,
    ageMs: limits.catalogGhostsMs,
  },
  {
    table: 'rates',
    key: 'namespace, device, machine',
    time: 'measured_ms',
    rows: limits.catalogRates,
    ageMs: limits.catalogRatesMs,
  },
]

/** Removes what one transaction may of each table. False: there is more to remove. */
export function pruneOnce(file: CatalogFile, nowMs: number): boolean {
  let isDone = true
  for (const bound of bounds) {
    const removed = file.attempt(() => prune(file, bound, nowMs), 0)
    if (removed === limits.catalogPruneRows) isDone = false
  }
  return isDone
}

function prune(file: CatalogFile, { table, key, time, rows, ageMs }: Bound, nowMs: number): number {
  const counted = file.statement(`SELECT count(*) AS rows FROM ${table}`).get() as { rows: number }
  const most = limits.catalogPruneRows
  const tooMany = Math.min(most, Math.max(0, counted.rows - rows))
  const oldest = `SELECT ${key} FROM ${table} ORDER BY ${time} LIMIT ?`
  const surplus = file.statement(`DELETE FROM ${table} WHERE (${key}) IN (${oldest})`).run(tooMany)
  const aged = `SELECT ${key} FROM ${table} WHERE ${time} < ? LIMIT ?`
  const old = file.statement(`DELETE FROM ${table} WHERE (${key}) IN (${aged})`)
  return surplus.changes + old.run(nowMs - ageMs, most - surplus.changes).changes
}

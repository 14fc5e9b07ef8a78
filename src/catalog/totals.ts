/**
 * What was served, for each hour and model, and after two weeks for each day (of UTC). Sums are
 * added up in memory first: a write for each record of a restore would be a write too many.
 */
import { limits } from '../config/limits.ts'
import type { ModelTotals, RequestTotals, Totals } from '../pipeline/types.ts'
import type { CatalogFile } from './catalog-file.ts'
import type { TotalsLog } from './types.ts'
import type { WriteQueue } from './write-queue.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs

/** Column of each figure. */
const columns: Readonly<Record<keyof Totals, string>> = {
  requests: 'requests',
  hit: 'hit',
  partial: 'partial',
  miss: 'miss',
  bypass: 'bypass',
  failed: 'failed',
  promptTokens: 'prompt_tokens',
  ramTokens: 'ram_tokens',
  ssdTokens: 'ssd_tokens',
  computedTokens: 'computed_tokens',
  savedTokens: 'saved_tokens',
  generatedTokens: 'generated_tokens',
  savedPrefillMs: 'saved_prefill_ms',
  ssdWrittenBytes: 'ssd_written_bytes',
  ssdReadBytes: 'ssd_read_bytes',
}
const names = Object.keys(columns) as readonly (keyof Totals)[]
const columnList = Object.values(columns)

const none = Object.fromEntries(names.map((name) => [name, 0])) as Readonly<Record<string, 0>>
export const noTotals = none as unknown as Totals

const plus = (a: Totals, b: Partial<Totals>): Totals => {
  const sums = names.map((name) => [name, a[name] + (b[name] ?? 0)] as const)
  return Object.fromEntries(sums) as unknown as Totals
}

const added = columnList.map((column) => `${column} = ${column} + excluded.${column}`).join(', ')
const keys = 'start_ms, span_ms, model'
const upsert = `
INSERT INTO totals (${keys}, ${columnList.join(', ')})
VALUES (?, ?, ?, ${columnList.map(() => '?').join(', ')})
ON CONFLICT DO UPDATE SET ${added}`

const since = `SELECT * FROM totals WHERE start_ms + span_ms > ? ORDER BY start_ms, model`

const sums = columnList.map((column) => `sum(${column})`).join(', ')
const foldInto = `
INSERT INTO totals (${keys}, ${columnList.join(', ')})
SELECT start_ms / ${dayMs} * ${dayMs}, ${dayMs}, model, ${sums} FROM totals
WHERE span_ms = ${hourMs} AND start_ms < ? GROUP BY 1, 3
ON CONFLICT DO UPDATE SET ${added}`
const folded = `DELETE FROM totals WHERE span_ms = ${hourMs} AND start_ms < ?`

type Row = Readonly<Record<string, number>> & { readonly model: string }

export function totalsLog(file: CatalogFile, queue: WriteQueue, now: () => number): TotalsLog {
  /** By the beginning of the hour, then by model. */
  const waiting = new Map<number, Map<string, Totals>>()

  function write(): void {
    for (const [startMs, models] of waiting) {
      for (const [model, totals] of models) {
        const values = names.map((name) => totals[name])
        file.statement(upsert).run(startMs, hourMs, model, ...values)
      }
    }
    waiting.clear()
  }

  return {
    add(model, counts) {
      if (waiting.size === 0) queue.push(write)
      const startMs = Math.floor(now() / hourMs) * hourMs
      const models = waiting.get(startMs) ?? new Map<string, Totals>()
      waiting.set(startMs, models)
      models.set(model, plus(models.get(model) ?? noTotals, counts))
    },
    async since(fromMs) {
      await queue.settled()
      const rows = file.attempt(() => file.statement(since).all(fromMs) as Row[], [])
      return summed(rows, Math.floor(fromMs / hourMs) * hourMs)
    },
  }
}

/** Adds hours of more than two weeks ago to their days; of whole days, or some would be halves. */
export function foldHours(file: CatalogFile, nowMs: number): void {
  const beforeMs = Math.floor((nowMs - limits.catalogHoursMs) / dayMs) * dayMs
  file.attempt(() => {
    file.statement(foldInto).run(beforeMs)
    file.statement(folded).run(beforeMs)
  }, undefined)
}

function summed(rows: readonly Row[], fromMs: number): RequestTotals {
  const days = new Map<number, Totals>()
  const models = new Map<string, Totals>()
  let all = noTotals
  for (const row of rows) {
    const totals = totalsOf(row)
    const day = Math.floor((row.start_ms ?? 0) / dayMs) * dayMs
    days.set(day, plus(days.get(day) ?? noTotals, totals))
    models.set(row.model, plus(models.get(row.model) ?? noTotals, totals))
    all = plus(all, totals)
  }
  const byModel = [...models].map(([model, totals]): ModelTotals => ({ model, ...totals }))
  return {
    // A whole day is there or not.
    fromMs: Math.min(fromMs, rows[0]?.start_ms ?? fromMs),
    all,
    models: byModel.sort((a, b) => b.promptTokens - a.promptTokens),
    days: [...days].map(([startMs, totals]) => ({ startMs, ...totals })),
  }
}

const totalsOf = (row: Row): Totals =>
  Object.fromEntries(names.map((name) => [name, row[columns[name]]])) as unknown as Totals

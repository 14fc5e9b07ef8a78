/**
 * Measured speeds of models, so that a start knows them before it measures. They hold for one
 * machine, whose name is a part of the key: a directory that was moved to another one is measured
 * anew there. Notes wait in memory, the latest of each model, and are written every few seconds.
 */
import type { TierName } from '../../cache/types.ts'
import { limits } from '../config/limits.ts'
import type { CatalogFile } from './catalog-file.ts'
import type { MeasuredModel, MeasuredRates, RateLog } from './types.ts'
import type { WriteQueue } from './write-queue.ts'

interface Row {
  readonly prefill_tokens_per_ms: number | null
  readonly ram_bytes_per_ms: string
  readonly ssd_bytes_per_ms: string
}

interface Note extends MeasuredRates {
  readonly model: MeasuredModel
  readonly measuredMs: number
}

export interface RateOptions {
  readonly file: CatalogFile
  readonly queue: WriteQueue
  /** What tells this machine from slower and faster ones. */
  readonly machine: string
  readonly now: () => number
}

const upsert = 'REPLACE INTO rates VALUES (?, ?, ?, ?, ?, ?, ?)'
const one = 'SELECT * FROM rates WHERE namespace = ? AND device = ? AND machine = ?'

const keyOf = ({ namespace, device }: MeasuredModel): string => `${namespace} ${device}`

export function rateLog({ file, queue, machine, now }: RateOptions): RateLog & { flush(): void } {
  const unwritten = new Map<string, Note>()
  let timer: NodeJS.Timeout | null = null

  function write(): void {
    for (const note of unwritten.values()) {
      const { namespace, device } = note.model
      file.statement(upsert).run(namespace, device, machine, ...valuesOf(note))
    }
    unwritten.clear()
  }

  function push(): void {
    timer = null
    queue.push(write)
  }

  return {
    note(model, rates) {
      unwritten.set(keyOf(model), { ...rates, model, measuredMs: now() })
      timer ??= setTimeout(push, limits.catalogRatesDelayMs).unref()
    },
    latest(model) {
      const { namespace, device } = model
      const noted = unwritten.get(keyOf(model))
      if (noted !== undefined) return noted
      const read = () => file.statement(one).get(namespace, device, machine) as Row | undefined
      const row = file.attempt(read, undefined)
      return row === undefined ? null : ratesOf(row)
    },
    flush() {
      if (timer !== null) clearTimeout(timer)
      if (unwritten.size > 0) push()
    },
  }
}

const valuesOf = ({ prefillTokensPerMs, restoresBytesPerMs, measuredMs }: Note) => [
  prefillTokensPerMs,
  JSON.stringify(restoresBytesPerMs.ram),
  JSON.stringify(restoresBytesPerMs.ssd),
  measuredMs,
]

/** What decides between restoring and computing has to make sense, whatever the disk says. */
const isRate = (value: unknown): value is number =>
  typeof value === 'number' && Number.isFinite(value) && value > 0

function ratesOf(row: Row): MeasuredRates {
  const { prefill_tokens_per_ms: prefill } = row
  const restoresBytesPerMs: Record<TierName, readonly number[]> = {
    ram: readList(row.ram_bytes_per_ms),
    ssd: readList(row.ssd_bytes_per_ms),
  }
  return { prefillTokensPerMs: isRate(prefill) ? prefill : null, restoresBytesPerMs }
}

function readList(text: string): readonly number[] {
  try {
    const list: unknown = JSON.parse(text)
    return Array.isArray(list) ? list.filter(isRate) : []
  } catch {
    return []
  }
}

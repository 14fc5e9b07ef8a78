/** Opens the catalog of a directory. Only the service that holds the directory's lock does so. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { limits } from '../config/limits.ts'
import { type CatalogFile, openCatalogFile } from './catalog-file.ts'
import { ghostLog } from './ghosts.ts'
import { type PinText, pinStore } from './pins.ts'
import { forgetLabels, prefixLog } from './prefixes.ts'
import { rateLog } from './rates.ts'
import { requestLog } from './requests.ts'
import { pruneOnce } from './retention.ts'
import { foldHours, totalsLog } from './totals.ts'
import type { Catalog } from './types.ts'
import { createWriteQueue } from './write-queue.ts'

export interface CatalogOptions {
  readonly directory: string
  /** Blocks are stored, so there was a catalog once. */
  readonly besideBlocks: boolean
  /** False: no word of a prompt stays in it, whoever wrote it. */
  readonly keepText: boolean
  /** See `RateOptions`. */
  readonly machine: string
  /** Where the SSD tier keeps pins; null: there is none. */
  readonly storedPins: PinText | null
  readonly now: () => number
  readonly warn: (message: string, error: unknown) => void
}

/** Never fails: see `openCatalogFile`. */
export function openCatalog(options: CatalogOptions): Catalog {
  const { directory, besideBlocks, keepText, machine, storedPins, now, warn } = options
  const path = join(directory, 'catalog.db')
  if (besideBlocks && !existsSync(path)) {
    warn(
      'there is no catalog beside what is stored: history, hits, labels and speeds are lost',
      null,
    )
  }
  const file = openCatalogFile({ path, warn })
  const queue = createWriteQueue({
    file,
    mostWaiting: limits.catalogWaiting,
    writesPerBatch: limits.catalogBatch,
    delayMs: limits.catalogDelayMs,
    warn,
  })
  if (!keepText) forgetLabels(file)
  const stopPruning = pruneFromTimeToTime(file, now)
  const rates = rateLog({ file, queue, machine, now })
  return {
    pins: pinStore({ file, index: storedPins, now, warn }),
    prefixes: prefixLog(file, queue),
    requests: requestLog(file, queue, now),
    totals: totalsLog(file, queue, now),
    ghosts: ghostLog({ file, queue, now }),
    rates,
    close() {
      stopPruning()
      rates.flush()
      queue.flush()
      file.close()
    },
  }
}

/** Begins at once, behind whatever the start has to do. */
function pruneFromTimeToTime(file: CatalogFile, now: () => number): () => void {
  let timer: NodeJS.Timeout
  const later = (delayMs: number, work: () => void): void => {
    timer = setTimeout(work, delayMs).unref()
  }
  const prune = (): void => {
    foldHours(file, now())
    later(pruneOnce(file, now()) ? limits.catalogPruneMs : 1, prune)
  }
  later(1, prune)
  return () => clearTimeout(timer)
}

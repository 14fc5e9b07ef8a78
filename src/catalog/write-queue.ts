/**
 * Writes that nobody waits for. They are put into the catalog in small transactions behind the
 * requests, so that neither a request nor the event loop waits for them.
 */
import type { CatalogFile } from './catalog-file.ts'

export interface WriteQueue {
  /** `write` runs later, in a transaction with others; when too many wait it is lost. */
  push(write: () => void): void
  /** Resolves when everything that was pushed before is written. */
  settled(): Promise<void>
  /** Writes what waits, at once. */
  flush(): void
}

export interface WriteQueueOptions {
  readonly file: CatalogFile
  readonly mostWaiting: number
  readonly writesPerBatch: number
  readonly delayMs: number
  readonly warn: (message: string, error: unknown) => void
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

export function createWriteQueue(options: WriteQueueOptions): WriteQueue {
  const { file, mostWaiting, writesPerBatch, delayMs, warn } = options
  let waiting: (() => void)[] = []
  let draining: Promise<void> | null = null
  let timer: NodeJS.Timeout | null = null
  let isDropping = false

  function writeBatch(): void {
    const batch = waiting.slice(0, writesPerBatch)
    waiting = waiting.slice(writesPerBatch)
    file.attempt(() => {
      for (const write of batch) write()
    }, undefined)
  }

  async function drain(): Promise<void> {
    while (waiting.length > 0) {
      writeBatch()
      await turn()
    }
    isDropping = false
    draining = null
  }

  function stopTimer(): void {
    if (timer !== null) clearTimeout(timer)
    timer = null
  }

  const settled = (): Promise<void> => {
    stopTimer()
    // With nothing to do it would end, and say so, before it is known to have begun.
    if (waiting.length > 0) draining ??= drain()
    return draining ?? Promise.resolve()
  }

  return {
    push(write) {
      if (waiting.length >= mostWaiting) {
        if (!isDropping) warn('more is noted for the catalog than it can write; some is lost', null)
        isDropping = true
        return
      }
      waiting.push(write)
      if (timer === null && draining === null) timer = setTimeout(settled, delayMs).unref()
    },
    settled,
    flush() {
      stopTimer()
      while (waiting.length > 0) writeBatch()
    },
  }
}

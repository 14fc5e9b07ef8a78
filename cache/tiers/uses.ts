/** When blocks were last used, written lazily: the order of eviction after a restart. */
import type { BlockHash } from '../types.ts'
import type { RecordIndex } from './record-index.ts'

export interface UsesOptions {
  readonly index: RecordIndex
  /** Is any record of this block stored? */
  readonly holds: (hash: BlockHash) => boolean
  /** How long uses are collected. */
  readonly flushMs: number
  readonly onWarning: (message: string) => void
}

export interface Uses {
  touch(hash: BlockHash, atMs: number): void
  /** Writes what was collected; later touches are ignored. */
  stop(): Promise<void>
}

/** A use is worth no commit of its own: the latest of each block go together, every few seconds. */
export function createUses({ index, holds, flushMs, onWarning }: UsesOptions): Uses {
  const collected = new Map<BlockHash, number>()
  let timer: NodeJS.Timeout | null = null
  let flushing = Promise.resolve()
  let stopped = false

  function flush(): Promise<void> {
    timer = null
    flushing = flushing.then(commitCollected)
    return flushing
  }

  async function commitCollected(): Promise<void> {
    const uses = new Map([...collected].filter(([hash]) => holds(hash)))
    collected.clear()
    if (uses.size === 0) return
    try {
      await index.commit({ uses })
    } catch (error) {
      // Only the order of eviction after a restart suffers.
      onWarning(`The last uses of ${uses.size} blocks could not be written: ${error}`)
    }
  }

  return {
    touch(hash, atMs) {
      if (stopped || !holds(hash)) return
      collected.set(hash, atMs)
      timer ??= setTimeout(flush, flushMs).unref()
    },
    async stop() {
      stopped = true
      if (timer !== null) clearTimeout(timer)
      await flush()
    },
  }
}

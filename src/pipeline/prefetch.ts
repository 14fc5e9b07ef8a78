/**
 * Brings what a waiting request will restore from the SSD into RAM. One request at a time, in the
 * order in which they began to wait: they would only take the disk from each other.
 */
import type { PrefixLease } from '../../cache/index.ts'

export interface Prefetch {
  /** Resolves when it is done, or soon after `signal` said stop; never rejects. */
  readAhead(takeLease: () => PrefixLease, signal: AbortSignal): Promise<void>
}

/** Where nothing is read before it is needed. */
export const noPrefetch: Prefetch = { readAhead: async () => {} }

/** `onFailed`: a fault that costs the head start and nothing else. */
export function createPrefetch(onFailed: (error: unknown) => void): Prefetch {
  // As many as wait for a sequence: the engine's queue bounds them.
  const waiting = new Set<() => void>()
  let isReading = false

  /** True: it is this one's turn, handed over by the one before. False: `signal` said stop. */
  function turn(signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const end = (isTurn: boolean) => () => {
        waiting.delete(called)
        resolve(isTurn)
      }
      const called = end(true)
      waiting.add(called)
      signal.addEventListener('abort', end(false), { once: true })
    })
  }

  async function read(takeLease: () => PrefixLease, signal: AbortSignal): Promise<void> {
    const lease = takeLease()
    try {
      await lease.readAhead(signal)
    } finally {
      lease.release()
    }
  }

  return {
    async readAhead(takeLease, signal) {
      if (signal.aborted || (isReading && !(await turn(signal)))) return
      isReading = true
      try {
        await read(takeLease, signal)
      } catch (error) {
        onFailed(error)
      }
      const [next] = waiting
      if (next === undefined) isReading = false
      else next()
    },
  }
}

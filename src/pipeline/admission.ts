/** A request's way to a sequence of the engine. */
import type { PrefixLease } from '../../cache/index.ts'
import type { Engine, Sequence } from '../../engines/index.ts'
import { limits } from '../config/limits.ts'
import type { Prefetch } from './prefetch.ts'

/**
 * Waits for a sequence. While others have them all, what this request will restore is read ahead;
 * one that is admitted at once reads it while it is restored.
 */
export async function admit(
  engine: Pick<Engine, 'openSequence'>,
  prefetch: Prefetch,
  takeLease: () => PrefixLease,
  signal: AbortSignal,
): Promise<Sequence> {
  const admitted = new AbortController()
  let ahead: Promise<void> = Promise.resolve()
  const timer = setTimeout(() => {
    ahead = prefetch.readAhead(takeLease, admitted.signal)
  }, limits.prefetchAfterMs)
  try {
    return await engine.openSequence(signal)
  } finally {
    clearTimeout(timer)
    admitted.abort()
    // At most the record at hand, which this request is about to want.
    await ahead
  }
}

/**
 * A request's hold on what the cache has of its prompt. Where a model is restored to boundaries
 * only and one of them turns out to be damaged, the next one before it serves: the plan is made
 * again.
 */
import type { Plan, PrefixLease } from '../../cache/index.ts'
import type { Sequence } from '../../engines/index.ts'
import { limits } from '../config/limits.ts'
import { needsBoundary, type Restored, restore } from './restore.ts'

export interface HeldPrefix {
  /** Replaced by a new one when a restore fails and there is another boundary to try. */
  readonly lease: PrefixLease
  /** A further lease on the same prompt as it is stored now; the caller releases it. */
  leaseAgain(): PrefixLease
  restoreInto(
    sequence: Sequence,
    onRestored: (restored: Restored, plan: Plan) => void,
  ): Promise<Restored>
  release(): void
}

export function holdPrefix(take: () => PrefixLease): HeldPrefix {
  let lease = take()
  return {
    get lease() {
      return lease
    },
    leaseAgain: take,
    async restoreInto(sequence, onRestored) {
      let spentMs = 0
      let failure: Error | null = null
      for (let tries = 1; ; tries++) {
        const { plan } = lease
        const restored = await restore(sequence, lease)
        onRestored(restored, plan)
        failure ??= restored.failure
        const isOver = restored.failure === null || !needsBoundary(plan)
        if (isOver || tries === limits.restoreTries) {
          return { ...restored, restoreMs: restored.restoreMs + spentMs, failure }
        }
        spentMs += restored.restoreMs
        lease.release()
        lease = take()
      }
    },
    release: () => lease.release(),
  }
}

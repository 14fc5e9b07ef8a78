/** What the cache lends to those that look at, or move, everything that is stored. Types only. */
import type { LeaseHost } from './lease.ts'

export interface UpkeepHost extends LeaseHost {
  /** Resolves when all that is on its way to or from the disk has arrived. */
  flush(): Promise<void>
  /** Resolves when no request is under way, or at the deadline. */
  withoutLeases(deadline: AbortSignal): Promise<void>
}

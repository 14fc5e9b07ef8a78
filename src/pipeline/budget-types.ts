/** How much the tiers may take and the SSD may be written, and changing it. Types only. */
import type { DiskUsage, TierBudget } from '../../cache/types.ts'

export interface Budgets {
  readonly ram: TierBudget & {
    /** What was taken of the memory at start; it never becomes more. */
    readonly mostBytes: number
  }
  /** These two are null without an SSD tier. */
  readonly ssd: TierBudget | null
  readonly ssdWrites: WritesBudget | null
}

export interface WritesBudget {
  /** Most bytes in 24 hours; null: there is no limit. */
  readonly perDayBytes: number | null
  readonly openedWithBytes: number | null
  /** Since midnight, UTC. */
  readonly todayBytes: number
}

/** What is absent stays as it is. */
export interface BudgetChange {
  readonly ramBytes?: number
  readonly ssdBytes?: number
  /** Null or 0: no limit. */
  readonly ssdWritesPerDayBytes?: number | null
}

export interface BudgetAdmin {
  read(): Budgets
  /** Null without an SSD tier. */
  disk(): DiskUsage | null
  /**
   * Holds until the service ends. Resolves as soon as it holds for what comes; what is there may
   * take longer to go. All of it or nothing: rejects with `PREFIXD_E_INVALID_VALUE`.
   */
  change(change: BudgetChange): Promise<Budgets>
}

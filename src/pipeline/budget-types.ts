/** How much the tiers may take and the SSD may be written, and changing it. Types only. */
import type { DiskUsage, ShareAmount, ShareUsage, TierBudget, TierName } from '../../cache/types.ts'

export interface Budgets {
  readonly ram: TierBudget & {
    /** What was taken of the memory at start; it never becomes more. */
    readonly mostBytes: number
  }
  /** These two are null without an SSD tier. */
  readonly ssd: TierBudget | null
  readonly ssdWrites: WritesBudget | null
  /** Of each model and tenant that has one, where it is named or holds something. */
  readonly shares: readonly ShareUsage[]
  /** Who holds what, those with most first. */
  readonly holders: readonly Holder[]
}

/** What one of the tenants holds of one model; null: no keys were in use. */
export interface Holder {
  readonly model: string
  readonly tenant: string | null
  readonly bytes: Readonly<Record<TierName, number>>
}

/** What one model, or one tenant, may hold of the tiers. */
export interface Share {
  /** `model:NAME`, `tenant:NAME`, or with `*` for each of them alone. */
  readonly name: string
  readonly ram: ShareAmount
  readonly ssd: ShareAmount
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
  /** In place of all that there were. */
  readonly shares?: readonly Share[]
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

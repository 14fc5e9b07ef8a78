/**
 * Which record goes next. Pure: the order of use comes in, the victim goes out.
 *
 * Leaves first: a child without its parent is garbage. The order already has children before
 * parents (recency.ts); the checks here hold even where it does not.
 */
import type { CachedRecord } from './prefix-index.ts'

const isOnSsd = (record: CachedRecord): boolean =>
  record.ssd === 'stored' || record.ssd === 'pending'

const isBusy = (record: CachedRecord): boolean => record.pins > 0 || record.loading !== null

/** Nobody would miss the whole block: no lease, no child, no other record in use. */
export function isBlockFree(record: CachedRecord): boolean {
  const { block } = record
  return block.leases === 0 && block.children.size === 0 && !block.records.some(isBusy)
}

/** A RAM copy may go when the SSD has one, or when its whole block may go. */
export function mayLeaveRam(record: CachedRecord): boolean {
  if (record.extent === null || isBusy(record) || record.ssd === 'pending') return false
  return record.ssd === 'stored' || isBlockFree(record)
}

/** An SSD copy may go when no child has one, and when the RAM has a copy or the block may go. */
export function mayLeaveSsd(record: CachedRecord): boolean {
  if (record.ssd !== 'stored' || record.loading !== null || record.block.leases > 0) return false
  for (const child of record.block.children) if (child.records.some(isOnSsd)) return false
  return record.extent !== null || isBlockFree(record)
}

/**
 * Oldest first; copies that a running request will still want go only when nothing else is left.
 * O(n) in the records that have to stay.
 */
export function ramVictim(order: Iterable<CachedRecord>): CachedRecord | null {
  let leased: CachedRecord | null = null
  for (const record of order) {
    if (!mayLeaveRam(record)) continue
    if (record.block.leases === 0) return record
    leased ??= record
  }
  return leased
}

export function ssdVictim(order: Iterable<CachedRecord>): CachedRecord | null {
  for (const record of order) if (mayLeaveSsd(record)) return record
  return null
}

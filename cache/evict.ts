/**
 * Which record goes next. Pure: the order of use comes in, the victim goes out.
 *
 * Leaves first: a child without its parent is garbage. The order already has children before
 * parents (recency.ts); the checks here hold even where it does not. What is exact at a boundary
 * may go alone; rows go after it, since it would be garbage without them.
 */
import type { CachedRecord } from './prefix-index.ts'
import type { RecordOrder } from './record-order.ts'

const isOnSsd = (record: CachedRecord): boolean =>
  record.ssd === 'stored' || record.ssd === 'pending'

const isBusy = (record: CachedRecord): boolean => record.pins > 0 || record.loading !== null

/** Nobody would miss the whole block: no lease, no child, no other record in use. */
export function isBlockFree(record: CachedRecord): boolean {
  const { block } = record
  return block.leases === 0 && block.children.size === 0 && !block.records.some(isBusy)
}

/** As `isBlockFree`; what goes along with a boundary's record goes from no child. */
function isLastCopyFree(record: CachedRecord): boolean {
  const { block } = record
  if (record.kind === 'kv') return isBlockFree(record)
  return block.leases === 0 && !block.records.some((it) => isBusy(it) || it.ssd === 'pending')
}

/** A RAM copy may go when the SSD has one, or when all that needs the record may go with it. */
export function mayLeaveRam(record: CachedRecord): boolean {
  if (record.extent === null || isBusy(record) || record.ssd === 'pending') return false
  return record.ssd === 'stored' || isLastCopyFree(record)
}

/** An SSD copy may go when nothing there needs it, and the RAM has a copy or the rest may go. */
export function mayLeaveSsd(record: CachedRecord): boolean {
  const { block } = record
  if (record.ssd !== 'stored' || record.loading !== null || block.leases > 0) return false
  if (record.kind === 'kv') {
    for (const child of block.children) if (child.records.some(isOnSsd)) return false
    if (block.records.some((other) => other !== record && isOnSsd(other))) return false
  }
  return record.extent !== null || isLastCopyFree(record)
}

interface Candidates {
  /** The oldest that is spare; of those that no running request will still want. */
  readonly spare: CachedRecord | null
  readonly free: CachedRecord | null
  /** Goes only when nothing else is left. */
  readonly leased: CachedRecord | null
}

function candidates(
  records: Iterable<CachedRecord>,
  mayGo: (record: CachedRecord) => boolean,
  looksForSpare: boolean,
): Candidates {
  let free: CachedRecord | null = null
  let leased: CachedRecord | null = null
  for (const record of records) {
    if (!mayGo(record)) continue
    if (record.block.leases > 0) leased ??= record
    else if (record.spare) return { spare: record, free, leased }
    else {
      free ??= record
      if (!looksForSpare) break
    }
  }
  return { spare: null, free, leased }
}

/**
 * Of what is exact at a boundary: those first that others of their chain replace nearly as well,
 * then the oldest. O(n) in the boundaries.
 */
export function boundaryVictim(
  order: RecordOrder,
  mayGo: (record: CachedRecord) => boolean,
): CachedRecord | null {
  const { spare, free, leased } = candidates(order.boundaries, mayGo, true)
  return spare ?? free ?? leased
}

/** Oldest first, spare boundaries before all. O(n) in the records that have to stay. */
function victim(order: RecordOrder, mayGo: (record: CachedRecord) => boolean): CachedRecord | null {
  const boundaries = candidates(order.boundaries, mayGo, true)
  if (boundaries.spare !== null) return boundaries.spare
  const rows = candidates(order.rows, mayGo, false)
  const [boundary, row] = [boundaries.free, rows.free]
  if (boundary === null || row === null) {
    return boundary ?? row ?? boundaries.leased ?? rows.leased
  }
  return boundary.block.lastUsedAtMs <= row.block.lastUsedAtMs ? boundary : row
}

export const ramVictim = (order: RecordOrder): CachedRecord | null => victim(order, mayLeaveRam)

export const ssdVictim = (order: RecordOrder): CachedRecord | null => victim(order, mayLeaveSsd)

/**
 * Which record goes next. Pure: the order of going comes in, the victim goes out.
 *
 * Leaves first: a child without its parent is garbage. The order already has children before
 * parents (keeper.ts); the checks here hold even where it does not. What is exact at a boundary
 * may go alone; rows go after it, since it would be garbage without them.
 */
import type { CachedBlock, CachedRecord } from './prefix-index.ts'
import type { RecordOrder } from './record-order.ts'

const isOnSsd = (record: CachedRecord): boolean =>
  record.ssd === 'stored' || record.ssd === 'pending'

const isBusy = (record: CachedRecord): boolean => record.pins > 0 || record.loading !== null

/** As `isBusy`, or on its way to the SSD. */
export const isInUse = (record: CachedRecord): boolean => isBusy(record) || record.ssd === 'pending'

/** Nobody would miss the whole block: no lease, no child, no other record in use. */
export function isBlockFree(record: CachedRecord): boolean {
  const { block } = record
  return block.leases === 0 && block.children.size === 0 && !block.records.some(isBusy)
}

/** No request holds it, and none of its bytes are on their way. */
export const isUnused = (block: CachedBlock): boolean =>
  block.leases === 0 && !block.records.some(isInUse)

/** As `isBlockFree`; what goes along with a boundary's record goes from no child. */
function isLastCopyFree(record: CachedRecord): boolean {
  const { block } = record
  if (record.kind === 'kv') return isBlockFree(record)
  return isUnused(block)
}

/** A RAM copy may go when the SSD has one, or when all that needs the record may go with it. */
export function mayLeaveRam(record: CachedRecord): boolean {
  if (record.extent === null || isInUse(record)) return false
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

/**
 * As `mayLeaveSsd`, with all that stands on these rows in RAM alone and is garbage without them:
 * for a tier, or a share of it, that has to become smaller. O(blocks behind them).
 */
export function mayLeaveSsdWithAll(record: CachedRecord): boolean {
  const { block, kind } = record
  if (kind !== 'kv' || record.ssd !== 'stored' || record.extent !== null) return false
  const isAlone = block.records.every((other) => other === record || !isOnSsd(other))
  return isAlone && isUnused(block) && isFreeBehind(block)
}

/** Is nothing behind it on the SSD, or used by anybody? */
function isFreeBehind(block: CachedBlock): boolean {
  const behind = [...block.children]
  for (const each of behind) {
    if (!isUnused(each) || each.records.some(isOnSsd)) return false
    behind.push(...each.children)
  }
  return true
}

interface Candidates {
  /** The first; of those that no running request will still want. */
  readonly free: CachedRecord | null
  /** Goes only when nothing else is left. */
  readonly leased: CachedRecord | null
}

/** O(n) in the records that have to stay. */
function candidates(
  records: Iterable<CachedRecord>,
  mayGo: (record: CachedRecord) => boolean,
): Candidates {
  let leased: CachedRecord | null = null
  for (const record of records) {
    if (!mayGo(record)) continue
    if (record.block.leases === 0) return { free: record, leased }
    leased ??= record
  }
  return { free: null, leased }
}

/** Whoever has been idle longer for what it is worth. */
export function idler(
  order: RecordOrder,
  boundary: CachedRecord | null,
  row: CachedRecord | null,
): CachedRecord | null {
  if (boundary === null || row === null) return boundary ?? row
  return order.idleMs(boundary) >= order.idleMs(row) ? boundary : row
}

/**
 * First the boundaries that others of their chain replace nearly as well, then the record that is
 * least worth keeping; where boundaries have to yield to rows, the oldest boundary.
 */
function victim(
  order: RecordOrder,
  boundariesYield: boolean,
  mayGo: (record: CachedRecord) => boolean,
): CachedRecord | null {
  const spare = candidates(order.spare, mayGo)
  if (spare.free !== null) return spare.free
  const boundary = candidates(order.boundaries, mayGo)
  if (boundariesYield && boundary.free !== null) return boundary.free
  const row = candidates(order.rows, mayGo)
  return idler(order, boundary.free, row.free) ?? spare.leased ?? boundary.leased ?? row.leased
}

/** Must this copy stay, although it is in nobody's way? See `Keeping.isKept`. */
export type IsKept = (record: CachedRecord) => boolean

export const ramVictim = (
  order: RecordOrder,
  boundariesYield: boolean,
  isKept: IsKept,
): CachedRecord | null =>
  victim(order, boundariesYield, (record) => mayLeaveRam(record) && !isKept(record))

/** Nothing of `newest` goes: a boundary is of no use without any of its kinds. Null: none is. */
export function ssdVictim(
  order: RecordOrder,
  boundariesYield: boolean,
  newest: CachedBlock | null,
  isKept: IsKept,
  mayLeave = mayLeaveSsd,
): CachedRecord | null {
  const mayGo = (record: CachedRecord) =>
    record.block !== newest && mayLeave(record) && !isKept(record)
  return victim(order, boundariesYield, mayGo)
}

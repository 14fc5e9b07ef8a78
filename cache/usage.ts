/** What each tier holds, as the budgets count it. Reads the stores only. */
import { isInUse, mayLeaveRam } from './evict.ts'
import { type CachedBlock, type CachedRecord, isBlock, type TreeRoot } from './prefix-index.ts'
import type { RamStore } from './ram-store.ts'
import type { SsdStore } from './ssd-store.ts'
import type { TierName, TierUsage } from './types.ts'

/** Bytes that went through the RAM tier; the SSD tier counts its own. */
export interface RamTraffic {
  readonly readBytes: number
  readonly writtenBytes: number
}

type IsKept = (record: CachedRecord, tier: TierName) => boolean

export function tierUsage(
  ram: RamStore,
  ssd: SsdStore | null,
  traffic: RamTraffic,
  isKept: IsKept,
): TierUsage[] {
  const { arena } = ram
  const ramUsage: TierUsage = {
    tier: 'ram',
    usedBytes: arena.usedBytes,
    capacityBytes: arena.capacityBytes,
    blocks: ram.blockCount,
    boundaryBytes: ram.boundaryBytes,
    reclaimableBytes: reclaimable(ram.order, mayGoFrom(ram, isKept), arena.allocatedBytes),
    evictedRecords: ram.evictedRecords,
    readBytes: traffic.readBytes,
    writtenBytes: traffic.writtenBytes,
  }
  return ssd === null ? [ramUsage] : [ramUsage, ssdUsage(ssd, isKept)]
}

function ssdUsage(ssd: SsdStore, isKept: IsKept): TierUsage {
  const { tier, order, blockCount, boundaryBytes, evictedRecords } = ssd
  const { usedBytes, capacityBytes, readBytes, writtenBytes } = tier.usage()
  const mayGo = (record: CachedRecord) =>
    record.block.leases === 0 && record.ssd === 'stored' && !isKept(record, 'ssd')
  return {
    tier: 'ssd',
    usedBytes,
    capacityBytes,
    blocks: blockCount,
    boundaryBytes,
    reclaimableBytes: reclaimable(order, mayGo, tier.allocatedBytes),
    evictedRecords,
    readBytes,
    writtenBytes,
  }
}

/**
 * Rows of which there is no other copy go after all that stands on them: they may go in the end
 * when nothing of that has to stay. O(records in RAM).
 */
function mayGoFrom(ram: RamStore, isKept: IsKept): (record: CachedRecord) => boolean {
  const staying = new Set<CachedBlock>()
  const stays = (record: CachedRecord): boolean =>
    isInUse(record) || isKept(record, 'ram') || (record.ssd !== 'stored' && record.block.leases > 0)
  for (const record of ram.order) {
    if (!stays(record)) continue
    let node: CachedBlock | TreeRoot = record.block
    while (isBlock(node) && !staying.has(node)) {
      staying.add(node)
      node = node.parent
    }
  }
  return (record) => {
    if (record.kind !== 'kv') return mayLeaveRam(record) && !isKept(record, 'ram')
    return !stays(record) && (record.ssd === 'stored' || !staying.has(record.block))
  }
}

function reclaimable(
  order: Iterable<CachedRecord>,
  mayGo: (record: CachedRecord) => boolean,
  bytesOf: (sizeBytes: number) => number,
): number {
  let sumBytes = 0
  for (const record of order) if (mayGo(record)) sumBytes += bytesOf(record.sizeBytes)
  return sumBytes
}

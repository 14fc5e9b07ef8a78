/** Room on the SSD: which records leave it for one that comes, or for a smaller tier. */
import { ssdVictim } from './evict.ts'
import type { CachedRecord } from './prefix-index.ts'
import { nothing, type TierOrder } from './record-order.ts'
import type { SsdRemovals } from './ssd-removals.ts'
import type { RecordKey, SsdTier } from './tiers/tier.ts'

/**
 * Evicting a little more than needed saves LMDB commits, since one then serves several records. So
 * much at most, and in a small tier this part of it: a full tier stays nearly full.
 */
const slackBytesMax = 32 * 1024 * 1024
const slackShare = 1 / 32

export interface SsdRoomOptions {
  readonly tier: SsdTier
  readonly order: TierOrder
  readonly removals: SsdRemovals
  readonly boundaryShare: number
  readonly isKept: (record: CachedRecord) => boolean
  /** Takes it out of all but LMDB. */
  readonly takeOut: (record: CachedRecord) => void
  /** It was taken out; others may go along with it. */
  readonly onEvicted: (record: CachedRecord) => void
}

export class SsdRoom {
  readonly #options: SsdRoomOptions
  evictedRecords = 0

  constructor(options: SsdRoomOptions) {
    this.#options = options
  }

  /**
   * What goes leaves the index at once and LMDB before anything is written into its slots. Null:
   * nothing is to be written, and no more is to be used than may be.
   */
  async make(incoming: CachedRecord | null): Promise<void> {
    const { tier, removals } = this.#options
    const neededBytes = incoming === null ? 0 : tier.allocatedBytes(incoming.sizeBytes)
    // What is leaving already may be enough.
    if (tier.freeBytes() < neededBytes) await removals.settled()
    const missingBytes = neededBytes - tier.freeBytes()
    if (missingBytes <= 0) return
    const leaving = this.#takeVictims(missingBytes, incoming)
    // With what is useless without the victims.
    await Promise.all([removals.remove(leaving), removals.settled()])
  }

  #takeVictims(missingBytes: number, incoming: CachedRecord | null): RecordKey[] {
    const { tier, order, boundaryShare, isKept, takeOut, onEvicted } = this.#options
    const { capacityBytes } = tier.usage()
    const shareBytes = capacityBytes * boundaryShare
    const wantedBytes = missingBytes + Math.min(slackBytesMax, capacityBytes * slackShare)
    const leaving: RecordKey[] = []
    const { storedBytes, filledCount } = order
    for (let freedBytes = 0; freedBytes < wantedBytes; ) {
      const boundariesYield = order.boundariesYield(incoming ?? nothing, shareBytes)
      const victim = ssdVictim(order, boundariesYield, incoming?.block ?? null, isKept)
      if (victim === null) break
      const victimBytes = tier.allocatedBytes(victim.sizeBytes)
      // Slack is not worth a record that is larger than it.
      if (freedBytes >= missingBytes && freedBytes + victimBytes > wantedBytes) break
      takeOut(victim)
      leaving.push({ hash: victim.block.hash, kind: victim.kind })
      onEvicted(victim)
      freedBytes = storedBytes - order.storedBytes
    }
    this.evictedRecords += filledCount - order.filledCount
    return leaving
  }
}

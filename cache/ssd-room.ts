/**
 * Room on the SSD: which records leave it for one that comes, for a smaller tier, or for a share of
 * it that is used up.
 */
import { CacheError } from './errors.ts'
import { mayLeaveSsd, mayLeaveSsdWithAll, ssdVictim } from './evict.ts'
import { GroupOrder } from './group-order.ts'
import type { CachedBlock, CachedRecord } from './prefix-index.ts'
import { nothing, type TierOrder } from './record-order.ts'
import type { Group, Shares } from './shares.ts'
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
  readonly shares: Shares
  readonly boundaryShare: number
  readonly isKept: (record: CachedRecord) => boolean
  readonly now: () => number
  /** Takes it out of all but LMDB. */
  readonly takeOut: (record: CachedRecord) => void
  /** It was taken out; others may go along with it. */
  readonly onEvicted: (record: CachedRecord) => void
}

export class SsdRoom {
  readonly #options: SsdRoomOptions
  readonly #groupOrder: GroupOrder
  evictedRecords = 0

  constructor(options: SsdRoomOptions) {
    this.#options = options
    this.#groupOrder = new GroupOrder(options)
  }

  /**
   * What goes leaves the index at once and LMDB before anything is written into its slots. Null:
   * nothing is to be written, and no more is to be used than may be.
   */
  async make(incoming: CachedRecord | null): Promise<void> {
    const { tier, removals } = this.#options
    const neededBytes = incoming === null ? 0 : tier.allocatedBytes(incoming.sizeBytes)
    await this.#makeShare(incoming, neededBytes)
    // What is leaving already may be enough.
    if (tier.freeBytes() < neededBytes) await removals.settled()
    const missingBytes = neededBytes - tier.freeBytes()
    if (missingBytes <= 0) return
    // With what is useless without the victims.
    const leaving = this.#takeVictims(missingBytes, incoming, null)
    await Promise.all([removals.remove(leaving), removals.settled()])
  }

  /** Groups that have more than their share first, also of what comes. */
  async #makeShare(incoming: CachedRecord | null, neededBytes: number): Promise<void> {
    const { shares, removals } = this.#options
    const leaving: RecordKey[] = []
    for (;;) {
      const group = shares.surplus('ssd')
      if (group === null) break
      const freed = this.#takeVictims(shares.excessBytes(group, 'ssd'), incoming, group)
      if (freed.length === 0) break
      leaving.push(...freed)
    }
    const exceeded = () => this.#exceededBy(incoming, neededBytes)
    const group = exceeded()
    if (group !== null) {
      const missingBytes = shares.excessBytes(group, 'ssd') + neededBytes
      leaving.push(...this.#takeVictims(missingBytes, incoming, group))
    }
    if (leaving.length > 0) await removals.remove(leaving)
    const full = exceeded()
    if (full === null) return
    const what = 'is used up, and what is there has to stay'
    throw new CacheError('PREFIXD_E_CACHE_FULL', `The share of ${full.name} on the SSD ${what}.`)
  }

  /** What has bytes there already takes no more of the share. */
  #exceededBy(incoming: CachedRecord | null, neededBytes: number): Group | null {
    if (incoming === null || incoming.list !== null) return null
    return this.#options.shares.exceeded(incoming.block.namespace, 'ssd', neededBytes)
  }

  /** Of the group alone, or of all. */
  #takeVictims(
    missingBytes: number,
    incoming: CachedRecord | null,
    group: Group | null,
  ): RecordKey[] {
    const { tier, order, boundaryShare, takeOut, onEvicted } = this.#options
    const { capacityBytes } = tier.usage()
    const shareBytes = capacityBytes * boundaryShare
    const wantedBytes = missingBytes + this.#slackBytes(incoming)
    const leaving: RecordKey[] = []
    const { storedBytes, filledCount } = order
    for (let freedBytes = 0; freedBytes < wantedBytes; ) {
      const boundariesYield = order.boundariesYield(incoming ?? nothing, shareBytes)
      const victim = this.#victim(boundariesYield, incoming?.block ?? null, group)
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

  /** Of the group alone, or of all. Where nothing comes what the RAM has behind it may go along. */
  #victim(
    boundariesYield: boolean,
    newest: CachedBlock | null,
    group: Group | null,
  ): CachedRecord | null {
    const { order, isKept } = this.#options
    const stays = (record: CachedRecord) =>
      isKept(record) || (group !== null && !group.has(record.block.namespace))
    const mayGo = (record: CachedRecord) =>
      record.block !== newest && mayLeaveSsd(record) && !isKept(record)
    const own = group === null ? null : this.#groupOrder.victim(group, boundariesYield, mayGo)
    const victim = own ?? ssdVictim(order, boundariesYield, newest, stays)
    if (victim !== null || newest !== null) return victim
    return ssdVictim(order, boundariesYield, null, stays, mayLeaveSsdWithAll)
  }

  /** Where nothing comes nothing will follow it. */
  #slackBytes(incoming: CachedRecord | null): number {
    if (incoming === null) return 0
    const mostBytes = this.#options.shares.mostBytes(incoming.block.namespace, 'ssd')
    return Math.min(slackBytesMax, mostBytes * slackShare)
  }
}

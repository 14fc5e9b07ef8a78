/**
 * The RAM tier: which records have a copy in the arena, in the order of going.
 *
 * A copy is recycled only when no lease, no reader and no write holds it; the arena then raises the
 * generation, so that a late frame cannot touch the next owner's bytes.
 */
import { isInUse, mayLeaveRam, ramVictim } from './evict.ts'
import { GroupOrder } from './group-order.ts'
import type { Keeper } from './keeper.ts'
import { type CachedRecord, isGone } from './prefix-index.ts'
import { unlisted } from './recency.ts'
import { type Incoming, nothing, TierOrder } from './record-order.ts'
import type { Group, Shares } from './shares.ts'
import type { Arena } from './tiers/tier.ts'
import type { Extent, Namespace } from './types.ts'

export interface RamStoreEvents {
  /** The last copy of a record went with the RAM copy. */
  onLastCopyGone(record: CachedRecord): void
  /** See `OrderOptions`. */
  onEntered(record: CachedRecord): void
  onLeft(record: CachedRecord): void
  /** See `Keeping.isKept`. */
  isKept(record: CachedRecord): boolean
}

export interface RamStoreOptions {
  readonly arena: Arena
  /** Part of the tier that records which are exact at a boundary may take from rows. */
  readonly boundaryShare: number
  readonly keeper: Keeper
  readonly shares: Shares
  readonly now: () => number
}

export class RamStore {
  readonly #arena: Arena
  readonly #events: RamStoreEvents
  readonly #order: TierOrder
  readonly #boundaryShare: number
  readonly #shares: Shares
  readonly #groupOrder: GroupOrder
  /** Those who wait for room; woken whenever something may have become free. */
  #waiters: (() => void)[] = []
  evictedRecords = 0

  constructor(options: RamStoreOptions, events: RamStoreEvents) {
    const { arena, boundaryShare, keeper, shares, now } = options
    this.#arena = arena
    this.#shares = shares
    this.#events = events
    this.#boundaryShare = boundaryShare
    this.#order = new TierOrder({
      linksOf: (record) => (record.ramLinks ??= unlisted()),
      bytesOf: (record) => arena.allocatedBytes(record.sizeBytes),
      keeper,
      now,
      onEntered: (record) => events.onEntered(record),
      onLeft: (record) => events.onLeft(record),
    })
    this.#groupOrder = new GroupOrder({ order: this.#order, now })
  }

  get arena(): Arena {
    return this.#arena
  }

  get order(): TierOrder {
    return this.#order
  }

  /** A block is here when its rows are. */
  get blockCount(): number {
    return this.#order.rows.count
  }

  get boundaryBytes(): number {
    return this.#order.boundaryBytes
  }

  /** What a namespace may have of the tier. */
  mostBytes(namespace: Namespace): number {
    return this.#shares.mostBytes(namespace, 'ram')
  }

  /**
   * Evicts as much as it takes. Null when what has to stay leaves no contiguous room, or its share
   * has none.
   */
  allocate(incoming: Incoming, namespace: Namespace): Extent | null {
    const { sizeBytes } = incoming
    if (this.#arena.allocatedBytes(sizeBytes) > this.mostBytes(namespace)) return null
    for (;;) {
      const group = this.#exceeded(sizeBytes, namespace)
      const extent = group === null ? this.#take(sizeBytes, namespace) : null
      if (extent !== null) return extent
      if (!this.#evictFor(incoming, group)) return null
    }
  }

  /** As `allocate`, and evicts nothing. */
  allocateFree({ sizeBytes }: Incoming, namespace: Namespace): Extent | null {
    return this.#exceeded(sizeBytes, namespace) === null ? this.#take(sizeBytes, namespace) : null
  }

  /** Evicts until nobody uses more than there may be, or what is left has to stay. */
  evictDown(): void {
    const arena = this.#arena
    for (;;) {
      const group = this.#shares.surplus('ram')
      if (group === null || !this.#evictOf(nothing, group)) break
    }
    while (arena.usedBytes > arena.capacityBytes && this.#evictOf(nothing, null)) {}
  }

  /** Records that lie behind the arena's capacity, and that nobody uses at this moment. */
  idleBehind(): CachedRecord[] {
    return [...this.#order].filter(
      (record) => record.extent !== null && this.#arena.isBehind(record.extent) && !isInUse(record),
    )
  }

  /** Copies one of them to where the arena is not given up. False: nothing gave it room. */
  moveForward(record: CachedRecord): boolean {
    const from = record.extent
    if (from === null || isInUse(record) || !this.#arena.isBehind(from)) return true
    this.pin(record)
    const { namespace } = record.block
    this.#count(namespace, from, -1)
    const to = this.allocate(record, namespace)
    if (to === null) {
      this.#count(namespace, from, 1)
    } else {
      this.#arena.view(to.offset, to.sizeBytes).set(this.#arena.view(from.offset, from.sizeBytes))
      record.extent = to
      this.#arena.free(from)
    }
    this.unpin(record)
    return to !== null
  }

  /**
   * As `allocate`, but waits up to `timeoutMs` for writes and restores to give their bytes back.
   */
  async allocateWithin(
    incoming: Incoming,
    namespace: Namespace,
    timeoutMs: number,
  ): Promise<Extent | null> {
    const deadline = AbortSignal.timeout(timeoutMs)
    for (;;) {
      const extent = this.allocate(incoming, namespace)
      if (extent !== null || deadline.aborted) return extent
      if (this.#arena.allocatedBytes(incoming.sizeBytes) > this.mostBytes(namespace)) return null
      await this.changed(deadline)
    }
  }

  /** Resolves when a pin, a write or a lease ended, or when `deadline` has passed. */
  changed(deadline: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push(resolve)
      deadline.addEventListener('abort', () => resolve(), { once: true })
    })
  }

  /** The record's bytes are in this extent from now on. */
  hold(record: CachedRecord, extent: Extent): void {
    record.extent = extent
    this.#order.touch(record)
  }

  touch(record: CachedRecord): void {
    if (record.extent !== null) this.#order.touch(record)
  }

  pin(record: CachedRecord): void {
    record.pins++
  }

  unpin(record: CachedRecord): void {
    record.pins--
    if (record.pins === 0 && isGone(record)) this.#free(record)
    this.wake()
  }

  /** Gives the RAM copy back. The caller has made sure that nobody uses it. */
  drop(record: CachedRecord): void {
    this.#free(record)
    if (record.ssd !== 'stored') this.#events.onLastCopyGone(record)
  }

  /** The record's place in the arena is another's: it is given up, and not given back. */
  disown(record: CachedRecord): void {
    this.#order.remove(record)
    if (record.extent !== null) this.#count(record.block.namespace, record.extent, -1)
    record.extent = null
  }

  /** The block has left the index: the bytes go now, or with the last pin. */
  forget(record: CachedRecord): void {
    if (record.pins === 0) this.#free(record)
  }

  /** Takes the bytes of a reservation that came to nothing. */
  release(extent: Extent, namespace: Namespace): void {
    this.#giveBack(extent, namespace)
    this.wake()
  }

  wake(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const resolve of waiters) resolve()
  }

  #exceeded(sizeBytes: number, namespace: Namespace): Group | null {
    return this.#shares.exceeded(namespace, 'ram', this.#arena.allocatedBytes(sizeBytes))
  }

  #take(sizeBytes: number, namespace: Namespace): Extent | null {
    const extent = this.#arena.allocate(sizeBytes)
    if (extent !== null) this.#count(namespace, extent, 1)
    return extent
  }

  #giveBack(extent: Extent, namespace: Namespace): void {
    this.#count(namespace, extent, -1)
    this.#arena.free(extent)
  }

  #count(namespace: Namespace, { sizeBytes }: Extent, sign: 1 | -1): void {
    this.#shares.count(namespace, 'ram', sign * this.#arena.allocatedBytes(sizeBytes))
  }

  /** Of this group alone where it has used up its share, of all where it is the first to go. */
  #evictFor(incoming: Incoming, exceeded: Group | null): boolean {
    if (exceeded !== null) return this.#evictOf(incoming, exceeded)
    const surplus = this.#shares.surplus('ram')
    return (surplus !== null && this.#evictOf(incoming, surplus)) || this.#evictOf(incoming, null)
  }

  /** One record of the group, or of all. False: all that is there has to stay. */
  #evictOf(incoming: Incoming, group: Group | null): boolean {
    const boundaryBytesMax = this.#arena.capacityBytes * this.#boundaryShare
    const boundariesYield = this.#order.boundariesYield(incoming, boundaryBytesMax)
    const victim = this.#victim(boundariesYield, group)
    if (victim === null) return false
    const before = this.#order.filledCount
    this.drop(victim)
    this.evictedRecords += before - this.#order.filledCount
    return true
  }

  #victim(boundariesYield: boolean, group: Group | null): CachedRecord | null {
    const { isKept } = this.#events
    if (group === null) return ramVictim(this.#order, boundariesYield, isKept)
    const mayGo = (record: CachedRecord) => mayLeaveRam(record) && !isKept(record)
    const own = this.#groupOrder.victim(group, boundariesYield, mayGo)
    if (own !== null) return own
    const stays = (record: CachedRecord) => !group.has(record.block.namespace) || isKept(record)
    return ramVictim(this.#order, boundariesYield, stays)
  }

  #free(record: CachedRecord): void {
    this.#order.remove(record)
    if (record.extent === null) return
    this.#giveBack(record.extent, record.block.namespace)
    record.extent = null
  }
}

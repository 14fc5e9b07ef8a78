/**
 * The SSD tier as the cache uses it: write-through in the background, room by the order of going,
 * reads into the arena, and a quarantine for what is damaged.
 */
import { ssdVictim } from './evict.ts'
import { isUnfounded, standingOn } from './foundations.ts'
import type { Keeper } from './keeper.ts'
import { type CachedRecord, isGone, type PrefixIndex } from './prefix-index.ts'
import type { RamStore } from './ram-store.ts'
import { TierOrder } from './record-order.ts'
import { SsdRemovals } from './ssd-removals.ts'
import { createInFlight } from './tiers/in-flight.ts'
import type { RecordKey, SsdTier, StoredRecord } from './tiers/tier.ts'
import type { Crc32s, Extent } from './types.ts'
import type { Urgency, WriteBudget } from './write-budget.ts'

/** Direct I/O wants lengths in multiples of this. */
const ioBytes = 4096

/**
 * Evicting a little more than needed saves LMDB commits, since one then serves several records. So
 * much at most, and in a small tier this part of it: a full tier stays nearly full.
 */
const slackBytesMax = 32 * 1024 * 1024
const slackShare = 1 / 32

/**
 * Records under way for each write that the slab has in flight: while one waits for its commit,
 * which several share, another one keeps the disk busy. With one the disk stood still a fifth of
 * the time.
 */
const recordsPerWrite = 2

export interface SsdStoreOptions {
  readonly tier: SsdTier
  readonly index: PrefixIndex
  readonly ram: RamStore
  readonly budget: WriteBudget
  readonly writesInFlight: number
  /** Part of the tier that records which are exact at a boundary may take from rows. */
  readonly boundaryShare: number
  /** See `Keeping.isKept`. */
  readonly isKept: (record: CachedRecord) => boolean
  readonly keeper: Keeper
  readonly now: () => number
  readonly onDurable: (record: CachedRecord) => void
  readonly onRead: (record: CachedRecord) => void
  /** A write, or a removal (then without a record), that the disk refused. */
  readonly onFailed: (error: unknown, record: CachedRecord | null) => void
  /** It is in RAM only, since the disk refused it or what it stands on. */
  readonly onLeftOff: (record: CachedRecord) => void
  /** As `onLeftOff`, but the SSD had the only copy. */
  readonly onUnfounded: (record: CachedRecord) => void
  /** The record's last copy went, or it left the SSD while the RAM still has it. */
  readonly onEvicted: (record: CachedRecord) => void
}

/** What writing it moves; LMDB's pages come on top. */
const writtenBytes = ({ sizeBytes }: { readonly sizeBytes: number }): number =>
  Math.ceil(sizeBytes / ioBytes) * ioBytes

const keyOf = (record: CachedRecord): RecordKey => ({
  hash: record.block.hash,
  kind: record.kind,
})

export class SsdStore {
  readonly #options: SsdStoreOptions
  readonly #order: TierOrder
  readonly #queue: CachedRecord[] = []
  readonly #removals: SsdRemovals
  readonly #entrance = createInFlight(1)
  /** Sums of the bytes that the SSD has, where those in RAM are to replace them. */
  readonly #older = new WeakMap<CachedRecord, Crc32s>()
  #inFlight = 0
  #idleWaiters: (() => void)[] = []
  evictedRecords = 0

  constructor(options: SsdStoreOptions) {
    this.#options = options
    const { tier, index, onFailed } = options
    this.#removals = new SsdRemovals({ tier, index, onFailed: (error) => onFailed(error, null) })
    this.#order = new TierOrder({
      linksOf: (record) => record,
      bytesOf: (record) => tier.allocatedBytes(record.sizeBytes),
      keeper: options.keeper,
      now: options.now,
    })
  }

  get tier(): SsdTier {
    return this.#options.tier
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

  /** A record that LMDB already has, found at start. */
  adopt(record: CachedRecord): void {
    record.ssd = 'stored'
    this.#order.touch(record)
  }

  touch(record: CachedRecord, atMs: number): void {
    if (record.ssd !== 'stored') return
    this.#order.touch(record)
    this.tier.touch(record.block.hash, atMs)
  }

  /**
   * Puts a record on its way to the disk, behind those that it needs there; RAM copies stay until
   * they are durable. Where the budget of writes does not reach for all of them none goes.
   */
  enqueue(record: CachedRecord, behind: readonly CachedRecord[], urgency: Urgency): void {
    const { budget, now } = this.#options
    const records = [...behind, record]
    const sizeBytes = records.reduce((sum, each) => sum + writtenBytes(each), 0)
    if (!budget.take(sizeBytes, urgency, now())) {
      if (record.ssd !== 'over budget') budget.refuse(writtenBytes(record), now())
      record.ssd = 'over budget'
      return
    }
    for (const each of records) {
      each.ssd = 'pending'
      this.#queue.push(each)
    }
    this.#pump()
  }

  /** Does the budget of writes reach for this record alone? */
  affords(record: CachedRecord, urgency: Urgency): boolean {
    return this.#options.budget.affords(writtenBytes(record), urgency, this.#options.now())
  }

  /**
   * Other bytes are about to take the place of this record's, which stay on the disk until the new
   * ones are there: others may stand on them, and were acknowledged.
   */
  keepOlder(record: CachedRecord): void {
    if (!this.#older.has(record)) this.#older.set(record, record.crc32s)
  }

  /** Are the bytes on the disk not the ones that were saved last? */
  isOutdated(record: CachedRecord): boolean {
    return this.#older.has(record)
  }

  /**
   * The disk has refused this record, or what it stands on. What stands on it was not acknowledged,
   * and leaves the disk with it.
   */
  leaveOff(record: CachedRecord): void {
    const { onLeftOff, onUnfounded } = this.#options
    const leaving = [record, ...standingOn(record).filter(({ ssd }) => ssd === 'stored')]
    void this.forget(leaving)
    for (const each of leaving) {
      if (each.extent === null) {
        if (!isGone(each)) onUnfounded(each)
        continue
      }
      each.ssd = 'failed'
      onLeftOff(each)
    }
  }

  /** Reads a record into an extent and checks every crc; rejects as `SsdTier.read` does. */
  async read(record: CachedRecord, extent: Extent): Promise<void> {
    await this.tier.read(keyOf(record), this.#ioView(extent))
    record.crc32s = this.#older.get(record) ?? record.crc32s
    this.#older.delete(record)
    this.#options.onRead(record)
  }

  /** Takes records out of LMDB, wherever they are; their slots are free once it has committed. */
  forget(records: readonly CachedRecord[]): Promise<void> {
    const keys = []
    for (const record of records) {
      if (record.ssd !== 'stored') continue
      this.#takeOut(record)
      keys.push(keyOf(record))
    }
    return this.drop(keys)
  }

  /** As `forget`, for records that the index does not have. */
  drop(keys: readonly RecordKey[]): Promise<void> {
    return this.#removals.drop(keys)
  }

  /** Takes a damaged record out; its slots stay unused until the next start. */
  quarantine(record: CachedRecord): Promise<void> {
    if (record.ssd !== 'stored') return Promise.resolve()
    this.#takeOut(record)
    return this.#removals.quarantine(keyOf(record))
  }

  /** Resolves when everything that was enqueued is durable or has failed. */
  async idle(): Promise<void> {
    while (this.#inFlight > 0 || this.#queue.length > 0) {
      await new Promise<void>((resolve) => this.#idleWaiters.push(resolve))
    }
    await this.#removals.idle()
  }

  #ioView(extent: Extent): Uint8Array {
    return this.#options.ram.arena.view(extent.offset, writtenBytes(extent))
  }

  #takeOut(record: CachedRecord): void {
    record.ssd = 'none'
    this.#order.remove(record)
    this.#older.delete(record)
  }

  #pump(): void {
    while (this.#inFlight < this.#options.writesInFlight * recordsPerWrite) {
      const record = this.#queue.shift()
      if (record === undefined) break
      this.#inFlight++
      void this.#write(record)
    }
  }

  async #write(record: CachedRecord): Promise<void> {
    const { ram, onDurable, onFailed } = this.#options
    ram.pin(record)
    try {
      const { stored } = await this.#entrance.run(() => this.#enter(record))
      await stored
    } catch (error) {
      this.#fail(record)
      onFailed(error, record)
    }
    // What it stands on may have failed meanwhile.
    if (!isGone(record) && isUnfounded(record)) this.leaveOff(record)
    ram.unpin(record)
    if (isGone(record)) await this.forget([record])
    else if (record.ssd === 'stored') onDurable(record)
    this.#inFlight--
    this.#pump()
    if (this.#inFlight === 0 && this.#queue.length === 0) this.#wakeIdle()
  }

  #fail(record: CachedRecord): void {
    if (this.#keptOlder(record)) return
    this.leaveOff(record)
    // LMDB may have one of its name that it refused to let go.
    this.#removals.refuse(keyOf(record))
  }

  /** The bytes that were to be replaced are still there: others may stand on them. */
  #keptOlder(record: CachedRecord): boolean {
    if (!this.#older.has(record)) return false
    record.ssd = 'stored'
    record.block.grid = false
    return true
  }

  /**
   * One record at a time, and its write has taken the room before another one looks. Otherwise all
   * that are under way would evict for themselves alone, and then take each other's slots.
   */
  async #enter(record: CachedRecord): Promise<{ readonly stored: Promise<void> }> {
    const isWanted = () => !isGone(record) && !isUnfounded(record)
    if (isWanted()) await this.#makeRoom(record)
    if (isWanted()) return { stored: this.#store(record) }
    this.#options.budget.giveBack(writtenBytes(record), this.#options.now())
    this.#keptOlder(record)
    return { stored: Promise.resolve() }
  }

  /** Calls `SsdTier.write` at once. */
  async #store(record: CachedRecord): Promise<void> {
    const { block } = record
    const stored: StoredRecord = {
      hash: block.hash,
      kind: record.kind,
      namespace: block.namespace,
      parent: block.parent.hash,
      blockIndex: block.index,
      tokenCount: block.tokenCount,
      grid: block.grid,
      sizeBytes: record.sizeBytes,
      crc32s: record.crc32s,
      createdAtMs: block.createdAtMs,
      lastUsedAtMs: block.lastUsedAtMs,
    }
    // A copy: the block may leave the index before its tokens are committed.
    const tokens = this.#options.index.tokensOf(block).slice()
    this.#removals.takeBack(stored)
    const bytes = this.#ioView(record.extent as Extent)
    await this.tier.write(stored, tokens, bytes, this.#options.budget.saved)
    record.ssd = 'stored'
    this.#older.delete(record)
    this.#order.touch(record)
  }

  /** Leaves the index at once and LMDB before anything is written into the slots. */
  async #makeRoom(record: CachedRecord): Promise<void> {
    const neededBytes = this.tier.allocatedBytes(record.sizeBytes)
    // What is leaving already may be enough.
    if (this.tier.freeBytes() < neededBytes) await this.#removals.settled()
    const missingBytes = neededBytes - this.tier.freeBytes()
    if (missingBytes <= 0) return
    const victims = this.#takeVictims(missingBytes, record)
    // With what is useless without the victims.
    await Promise.all([this.#removals.remove(victims.map(keyOf)), this.#removals.settled()])
  }

  #takeVictims(missingBytes: number, incoming: CachedRecord): CachedRecord[] {
    const { capacityBytes } = this.tier.usage()
    const { boundaryShare, isKept } = this.#options
    const shareBytes = capacityBytes * boundaryShare
    const wantedBytes = missingBytes + Math.min(slackBytesMax, capacityBytes * slackShare)
    const victims: CachedRecord[] = []
    const { storedBytes, filledCount } = this.#order
    for (let freedBytes = 0; freedBytes < wantedBytes; ) {
      const boundariesYield = this.#order.boundariesYield(incoming, shareBytes)
      const victim = ssdVictim(this.#order, boundariesYield, incoming.block, isKept)
      if (victim === null) break
      const victimBytes = this.tier.allocatedBytes(victim.sizeBytes)
      // Slack is not worth a record that is larger than it.
      if (freedBytes >= missingBytes && freedBytes + victimBytes > wantedBytes) break
      this.#takeOut(victim)
      victims.push(victim)
      this.#options.onEvicted(victim)
      freedBytes = storedBytes - this.#order.storedBytes
    }
    this.evictedRecords += filledCount - this.#order.filledCount
    return victims
  }

  #wakeIdle(): void {
    const waiters = this.#idleWaiters
    this.#idleWaiters = []
    for (const resolve of waiters) resolve()
  }
}

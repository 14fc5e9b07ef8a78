/**
 * The SSD tier as the cache uses it: write-through in the background, room by the order of going,
 * reads into the arena, and a quarantine for what is damaged.
 */
import { isInUse } from './evict.ts'
import { isUnfounded, standingOn } from './foundations.ts'
import type { Keeper } from './keeper.ts'
import { type CachedRecord, isGone, type PrefixIndex } from './prefix-index.ts'
import type { RamStore } from './ram-store.ts'
import { TierOrder } from './record-order.ts'
import type { Shares } from './shares.ts'
import { SsdEntrance } from './ssd-entrance.ts'
import { SsdRemovals } from './ssd-removals.ts'
import { SsdRoom } from './ssd-room.ts'
import type { RecordKey, SsdTier, StoredRecord } from './tiers/tier.ts'
import type { Crc32s, Extent } from './types.ts'
import type { Urgency, WriteBudget } from './write-budget.ts'

/** Direct I/O wants lengths in multiples of this. */
const ioBytes = 4096

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
  readonly shares: Shares
  readonly now: () => number
  /** See `OrderOptions`. */
  readonly onEntered: (record: CachedRecord) => void
  readonly onLeft: (record: CachedRecord) => void
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
  readonly #room: SsdRoom
  readonly #entrance: SsdEntrance
  /** Sums of the bytes that the SSD has, where those in RAM are to replace them. */
  readonly #older = new WeakMap<CachedRecord, Crc32s>()
  #inFlight = 0
  #idleWaiters: (() => void)[] = []

  constructor(options: SsdStoreOptions) {
    this.#options = options
    const { tier, index, onFailed } = options
    this.#removals = new SsdRemovals({ tier, index, onFailed: (error) => onFailed(error, null) })
    this.#order = new TierOrder({
      linksOf: (record) => record,
      bytesOf: (record) => tier.allocatedBytes(record.sizeBytes),
      keeper: options.keeper,
      now: options.now,
      onEntered: options.onEntered,
      onLeft: options.onLeft,
    })
    this.#room = new SsdRoom({
      ...options,
      order: this.#order,
      removals: this.#removals,
      takeOut: (record) => this.#takeOut(record),
    })
    this.#entrance = new SsdEntrance({
      room: this.#room,
      isUnwanted: (record) => isGone(record) || isUnfounded(record),
      store: (record) => this.#store(record),
      onUnwanted: (record) => {
        options.budget.giveBack(writtenBytes(record), options.now())
        this.#keptOlder(record)
      },
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

  get evictedRecords(): number {
    return this.#room.evictedRecords
  }

  /** A record that LMDB already has, found at start. */
  adopt(record: CachedRecord): void {
    record.ssd = 'stored'
    this.#count(record, 1)
    this.#order.touch(record)
  }

  touch(record: CachedRecord, atMs: number): void {
    if (record.ssd !== 'stored') return
    this.#order.touch(record)
    this.tier.touch(record.block.hash, atMs)
  }

  /**
   * Puts a record on its way to the disk, behind those that it needs there; RAM copies stay until
   * they are durable. Where the disk is full, or the budget of writes does not reach for all of
   * them, none goes.
   */
  enqueue(record: CachedRecord, behind: readonly CachedRecord[], urgency: Urgency): void {
    const { budget, now } = this.#options
    if (this.#isDiskFull) {
      this.#putOff(record)
      return
    }
    const records = [...behind, record]
    const sizeBytes = records.reduce((sum, each) => sum + writtenBytes(each), 0)
    if (!budget.take(sizeBytes, urgency, now())) {
      if (record.ssd !== 'waiting') budget.refuse(writtenBytes(record), now())
      this.#putOff(record)
      return
    }
    for (const each of records) {
      each.ssd = 'pending'
      this.#queue.push(each)
    }
    this.#pump()
  }

  /** Do the disk and the budget of writes reach for this record alone? */
  affords(record: CachedRecord, urgency: Urgency): boolean {
    if (this.#isDiskFull) return false
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
   * The disk has refused this record, or what it stands on, or it has to wait. What stands on it
   * was not acknowledged, and leaves the disk with it.
   */
  leaveOff(record: CachedRecord, as: 'failed' | 'waiting' = 'failed'): void {
    const { onLeftOff, onUnfounded } = this.#options
    const leaving = [record, ...standingOn(record).filter(({ ssd }) => ssd === 'stored')]
    void this.forget(leaving)
    for (const each of leaving) {
      if (each.extent === null) {
        if (!isGone(each)) onUnfounded(each)
        continue
      }
      each.ssd = each === record ? as : 'failed'
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

  /**
   * Evicts until no more is used than may be, or what is left has to stay. Rejects where the disk
   * does not let go of something, now or since earlier: then no more is evicted for it.
   */
  async evictDown(): Promise<void> {
    await this.#entrance.alone(async () => {
      await this.#removals.remove([])
      await this.#room.make(null)
    })
  }

  /** Records that lie behind the tier's end, and that nobody uses at this moment. */
  idleBehind(): CachedRecord[] {
    return [...this.#order].filter((record) => !isInUse(record) && this.#isBehind(record))
  }

  /**
   * Writes one of them again, from its pinned copy in RAM, to where the tier does not end. False:
   * the disk or the budget of writes does not reach for it. Rejects as `SsdTier.write` does.
   */
  async moveForward(record: CachedRecord): Promise<boolean> {
    if (record.ssd !== 'stored' || !this.#isBehind(record)) return true
    const { budget, now } = this.#options
    if (this.#isDiskFull || !budget.take(writtenBytes(record), 'kept', now())) return false
    // As for a write: nobody takes out what is about to be there again.
    record.ssd = 'pending'
    try {
      const { stored } = await this.#entrance.alone(async () => ({ stored: this.#put(record) }))
      await stored
    } finally {
      // Where the disk has refused it, it still is where it was.
      record.ssd = 'stored'
      if (isGone(record)) await this.forget([record])
      else if (isUnfounded(record)) this.leaveOff(record)
    }
    return true
  }

  /** Resolves when everything that was enqueued is durable or has failed. */
  async idle(): Promise<void> {
    while (this.#inFlight > 0 || this.#queue.length > 0) {
      await new Promise<void>((resolve) => this.#idleWaiters.push(resolve))
    }
    await this.#removals.idle()
  }

  get #isDiskFull(): boolean {
    return this.tier.usage().disk.state === 'no_writes'
  }

  #ioView(extent: Extent): Uint8Array {
    return this.#options.ram.arena.view(extent.offset, writtenBytes(extent))
  }

  /** Of the shares: what has no bytes here yet, or none any more. */
  #count(record: CachedRecord, sign: 1 | -1): void {
    const takenBytes = this.tier.allocatedBytes(record.sizeBytes)
    this.#options.shares.count(record.block.namespace, 'ssd', sign * takenBytes)
  }

  #takeOut(record: CachedRecord): void {
    record.ssd = 'none'
    if (record.list !== null) this.#count(record, -1)
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
      await this.#entrance.admit(record)
    } catch (error) {
      if (!this.#keptOlder(record)) this.leaveOff(record)
      onFailed(error, record)
    }
    // What it stands on may have failed meanwhile.
    if (!isGone(record) && isUnfounded(record)) this.leaveOff(record)
    // LMDB may have one of its name that it refused to let go.
    if (record.ssd !== 'stored') this.#removals.refuse(keyOf(record))
    ram.unpin(record)
    if (isGone(record)) await this.forget([record])
    else if (record.ssd === 'stored') onDurable(record)
    this.#inFlight--
    this.#pump()
    if (this.#inFlight === 0 && this.#queue.length === 0) this.#wakeIdle()
  }

  #putOff(record: CachedRecord): void {
    if (!this.#keptOlder(record)) this.leaveOff(record, 'waiting')
  }

  /** The bytes that were to be replaced are still there: others may stand on them. */
  #keptOlder(record: CachedRecord): boolean {
    if (!this.#older.has(record)) return false
    record.ssd = 'stored'
    record.block.grid = false
    return true
  }

  #isBehind(record: CachedRecord): boolean {
    return record.ssd === 'stored' && this.tier.isBehind(keyOf(record))
  }

  async #store(record: CachedRecord): Promise<void> {
    const isNew = record.list === null
    if (isNew) this.#count(record, 1)
    try {
      await this.#put(record)
    } catch (error) {
      if (isNew) this.#count(record, -1)
      throw error
    }
    record.ssd = 'stored'
    this.#order.touch(record)
  }

  /** Calls `SsdTier.write` at once. */
  async #put(record: CachedRecord): Promise<void> {
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
    this.#older.delete(record)
  }

  #wakeIdle(): void {
    const waiters = this.#idleWaiters
    this.#idleWaiters = []
    for (const resolve of waiters) resolve()
  }
}

/**
 * The façade: plan and lease, listing and eviction, statistics. It owns the index and both tiers.
 */
import { cutBlocks, type Hash64 } from './chain.ts'
import { CacheError } from './errors.ts'
import { isBlockFree, mayLeaveRam, mayLeaveSsd } from './evict.ts'
import { type LeaseHost, PrefixLease } from './lease.ts'
import { createNotes, type NamespaceNotes } from './notes.ts'
import { makePlan, type PlanMatch } from './plan.ts'
import {
  type BlockMatch,
  type CachedBlock,
  type CachedRecord,
  newRecord,
  PrefixIndex,
  tierOf,
} from './prefix-index.ts'
import { RamStore } from './ram-store.ts'
import { SsdStore } from './ssd-store.ts'
import type { Arena, SsdTier } from './tiers/tier.ts'
import type { BlockHash, Layout, Namespace, Rates, ReuseMode, TierName, TokenIds } from './types.ts'

export interface CacheOptions {
  readonly arena: Arena
  /** Null: nothing outlives the process. */
  readonly ssd: SsdTier | null
  readonly hash64: Hash64
  readonly blockTokens: number
  readonly reuse: ReuseMode
  /** Bytes of records on their way into the engine for one request. */
  readonly restoreWindowBytes: number
  /** How long a save or a restore waits for room in the arena. */
  readonly reserveWaitMs: number
  readonly ssdWritesInFlight: number
  readonly now: () => number
  /** A fault that cost a hit or a save, as a sentence. It is never the client's error. */
  readonly warn: (message: string, error: unknown) => void
}

export interface LeaseRequest {
  readonly namespace: Namespace
  readonly tokens: TokenIds
  readonly layout: Layout
  readonly rates: Rates
  /** False: the client asked not to read the cache. */
  readonly read: boolean
  /** False: what is saved stays in RAM and is never written to the SSD. */
  readonly spill: boolean
}

export interface TierUsage {
  readonly tier: TierName
  readonly usedBytes: number
  readonly capacityBytes: number
  readonly blocks: number
  readonly reclaimableBytes: number
  readonly evictedBlocks: number
  readonly readBytes: number
  readonly writtenBytes: number
}

export interface CacheCounters {
  readonly corruptBlocks: number
  readonly failedWrites: number
}

export class Cache {
  readonly index: PrefixIndex
  readonly blockTokens: number
  readonly #options: CacheOptions
  readonly #ram: RamStore
  readonly #ssd: SsdStore | null
  readonly #host: LeaseHost
  readonly #notes: NamespaceNotes
  #corruptBlocks = 0
  #failedWrites = 0
  #ramReadBytes = 0
  #ramWrittenBytes = 0

  constructor(options: CacheOptions) {
    this.#options = options
    this.blockTokens = options.blockTokens
    const { ssd } = options
    this.index = new PrefixIndex(options.hash64, (hash) => this.#readTokens(hash))
    this.#ram = new RamStore(options.arena, {
      onLastCopyGone: (record) => this.#removeEmpty(record),
    })
    this.#ssd = ssd === null ? null : this.#createSsdStore(ssd)
    this.#host = this.#createHost()
    const isStored = (namespace: Namespace) => this.index.has(namespace)
    this.#notes = createNotes(ssd, isStored, options.warn)
    if (ssd !== null) this.#adopt(ssd)
  }

  get arena(): Arena {
    return this.#options.arena
  }

  get counters(): CacheCounters {
    return { corruptBlocks: this.#corruptBlocks, failedWrites: this.#failedWrites }
  }

  /** What was noted of the namespaces, also by earlier runs. */
  get notes(): ReadonlyMap<Namespace, string> {
    return this.#notes.all
  }

  /** Remembers whose blocks these are. */
  note(namespace: Namespace, text: string): void {
    this.#notes.write(namespace, text)
  }

  /** Decides what of a prompt is restored and takes a lease on it. Release it in a `finally`. */
  lease(request: LeaseRequest): PrefixLease {
    const { hash64, blockTokens, reuse } = this.#options
    const canRead = request.read && request.layout.kinds.length === 1
    const blocks = cutBlocks(hash64, request.namespace, request.tokens, blockTokens)
    const found = canRead ? this.index.match(request.namespace, blocks, reuse) : []
    const matches = this.#whole(found)
    const plan = makePlan({
      promptTokens: request.tokens.length,
      reuse,
      layout: request.layout,
      matches: matches.map((match) => this.#toPlanMatch(match)),
      rates: request.rates,
      read: request.read,
    })
    for (const record of plan.records) {
      if (record.tier === 'ram') this.#ramReadBytes += record.sizeBytes
    }
    const place = { root: this.index.root(request.namespace), spill: request.spill }
    return new PrefixLease(this.#host, plan, place, matches)
  }

  usage(): TierUsage[] {
    const arena = this.arena
    const tiers: TierUsage[] = [
      {
        tier: 'ram',
        usedBytes: arena.usedBytes,
        capacityBytes: arena.sizeBytes,
        blocks: this.#ram.recordCount,
        reclaimableBytes: this.#reclaimable(this.#ram.order, mayLeaveRam, (sizeBytes) =>
          arena.allocatedBytes(sizeBytes),
        ),
        evictedBlocks: this.#ram.evictedBlocks,
        readBytes: this.#ramReadBytes,
        writtenBytes: this.#ramWrittenBytes,
      },
    ]
    if (this.#ssd !== null) {
      const { tier, order, recordCount, evictedBlocks } = this.#ssd
      const { usedBytes, capacityBytes, readBytes, writtenBytes } = tier.usage()
      tiers.push({
        tier: 'ssd',
        usedBytes,
        capacityBytes,
        blocks: recordCount,
        reclaimableBytes: this.#reclaimable(
          order,
          (record) => record.block.leases === 0 && record.ssd === 'stored',
          (sizeBytes) => tier.allocatedBytes(sizeBytes),
        ),
        evictedBlocks,
        readBytes,
        writtenBytes,
      })
    }
    return tiers
  }

  /** Bytes that this record takes in a tier, as the budgets count them; 0 where it is not. */
  bytesIn(tier: TierName, record: CachedRecord): number {
    if (tier === 'ram') {
      return record.extent === null ? 0 : this.arena.allocatedBytes(record.sizeBytes)
    }
    return record.ssd === 'stored' ? (this.#ssd?.tier.allocatedBytes(record.sizeBytes) ?? 0) : 0
  }

  /**
   * Removes copies of these blocks: from one tier, or from both. Pass children before parents; a
   * block that is in use, or whose child had to stay, stays. Returns the blocks that lost a copy.
   */
  async evict(blocks: readonly CachedBlock[], tier: TierName | null): Promise<CachedBlock[]> {
    const evicted: CachedBlock[] = []
    const removals: Promise<void>[] = []
    for (const block of blocks) {
      const before = block.records.length
      let isTouched = false
      for (const record of [...block.records]) {
        if (this.#dropCopies(record, tier, removals)) isTouched = true
      }
      if (isTouched || block.records.length < before) evicted.push(block)
    }
    await Promise.all(removals)
    this.#ram.wake()
    return evicted
  }

  /** Could `evict` remove a copy of this block now, its children being gone? */
  isInUse(block: CachedBlock): boolean {
    const isBusy = (record: CachedRecord) =>
      record.pins > 0 || record.loading !== null || record.ssd === 'pending'
    return block.leases > 0 || block.records.some(isBusy)
  }

  /** Waits for every write that is under way. */
  async flush(): Promise<void> {
    await this.#ssd?.idle()
  }

  /** Finishes the writes, then closes both tiers. No lease may be open. */
  async close(): Promise<void> {
    await this.flush()
    await this.#options.ssd?.close()
    this.arena.close()
  }

  #createSsdStore(tier: SsdTier): SsdStore {
    return new SsdStore({
      tier,
      index: this.index,
      ram: this.#ram,
      writesInFlight: this.#options.ssdWritesInFlight,
      onDurable: (record) => this.#reapBefore(record.block),
      onFailed: (error, record) => {
        this.#failedWrites++
        const what = record === null ? 'a removal' : `block ${record.block.hash}`
        this.#options.warn(`the SSD tier refused ${what}; it stays in RAM only`, error)
      },
      onEvicted: (record) => {
        if (record.extent === null) this.#removeEmpty(record)
      },
    })
  }

  #createHost(): LeaseHost {
    const { hash64, blockTokens, restoreWindowBytes, reserveWaitMs, now } = this.#options
    return {
      hash64,
      blockTokens,
      restoreWindowBytes,
      reserveWaitMs,
      now,
      index: this.index,
      ram: this.#ram,
      ssd: this.#ssd,
      discard: (block, damaged) => this.#discard(block, damaged),
      reap: (block) => {
        const longer = block.parent.children.continuationOf(block)
        if (longer !== null) this.#reapBefore(longer)
      },
      onLoadFailed: (record, error) => this.#onLoadFailed(record, error),
      onSaved: (record) => {
        this.#ramWrittenBytes += record.sizeBytes
      },
    }
  }

  /**
   * A block whose token ids cannot be read matches nothing; it is never an error of the request.
   */
  #readTokens(hash: BlockHash): TokenIds | null {
    try {
      return this.#options.ssd?.tokens(hash) ?? null
    } catch (error) {
      this.#options.warn(`the token ids of block ${hash} could not be read`, error)
      return null
    }
  }

  /** Rebuilds the index from what LMDB says. Reads no payload and no token ids. */
  #adopt(tier: SsdTier): void {
    const stored = [...tier.records()].sort((a, b) => a.blockIndex - b.blockIndex)
    const adopted: CachedRecord[] = []
    const orphans = []
    for (const record of stored) {
      const root = this.index.root(record.namespace)
      const parent = record.blockIndex === 0 ? root : this.index.get(record.parent)
      if (parent === undefined || parent.hash !== record.parent) {
        orphans.push({ hash: record.hash, kind: record.kind })
        continue
      }
      const block =
        this.index.get(record.hash) ??
        this.index.insert({ ...record, parent, index: record.blockIndex, tokens: null }, 'later')
      const cached = newRecord(block, record.kind, record.sizeBytes, record.crc32s)
      block.records.push(cached)
      adopted.push(cached)
    }
    // Least recently used first; of one request's blocks, children before parents.
    adopted.sort(
      (a, b) => a.block.lastUsedAtMs - b.block.lastUsedAtMs || b.block.index - a.block.index,
    )
    for (const record of adopted) this.#ssd?.adopt(record)
    if (orphans.length > 0) {
      tier
        .remove(orphans)
        .catch((error) => this.#options.warn('orphans could not be removed', error))
    }
  }

  /** The run of matches whose bytes are still somewhere. */
  #whole(found: readonly BlockMatch[]): BlockMatch[] {
    const isGap = (match: BlockMatch) => match.block.records.every((item) => tierOf(item) === null)
    const gap = found.findIndex((match) => match.block.records.length === 0 || isGap(match))
    return gap < 0 ? [...found] : found.slice(0, gap)
  }

  #toPlanMatch({ block, sharedTokens }: BlockMatch): PlanMatch {
    const record = block.records[0] as CachedRecord
    return {
      hash: block.hash,
      from: block.index * this.blockTokens,
      storedTokens: block.tokenCount,
      sharedTokens,
      sizeBytes: record.sizeBytes,
      tier: tierOf(record) ?? 'ssd',
      continues: block.children.size > 0,
    }
  }

  #dropCopies(record: CachedRecord, tier: TierName | null, removals: Promise<void>[]): boolean {
    if (tier === 'ram') {
      if (record.block.leases > 0 || !mayLeaveRam(record)) return false
      this.#ram.drop(record)
      return true
    }
    if (tier === 'ssd') {
      if (!mayLeaveSsd(record) || this.#ssd === null) return false
      removals.push(this.#ssd.forget([record]))
      if (record.extent === null) this.#removeEmpty(record)
      return true
    }
    if (!isBlockFree(record) || record.ssd === 'pending') return false
    this.#takeOut(record.block, null, removals)
    return true
  }

  /** No tier has this record any more. */
  #removeEmpty(record: CachedRecord): void {
    const { block } = record
    block.records.splice(block.records.indexOf(record), 1)
    if (block.records.length === 0) this.index.remove(block)
  }

  #discard(block: CachedBlock, damaged: CachedRecord | null): void {
    this.#corruptBlocks++
    const removals: Promise<void>[] = []
    for (const member of [...this.index.subtree(block)]) this.#takeOut(member, damaged, removals)
  }

  /** Out of the index at once; RAM bytes with their last pin, SSD slots with the LMDB commit. */
  #takeOut(block: CachedBlock, damaged: CachedRecord | null, removals: Promise<void>[]): void {
    this.index.remove(block)
    for (const record of block.records) {
      this.#ram.forget(record)
      if (this.#ssd === null) continue
      const isDamaged = record === damaged
      removals.push(isDamaged ? this.#ssd.quarantine(record) : this.#ssd.forget([record]))
    }
  }

  #onLoadFailed(record: CachedRecord, error: unknown): void {
    // A damaged block before it has taken this one along.
    if (record.block.gone) return
    const isDamage = error instanceof CacheError && error.code === 'PREFIXD_E_CACHE_CORRUPT'
    const what = `block ${record.block.hash} could not be read back; its chain is cut there`
    this.#options.warn(what, error)
    if (isDamage) this.#discard(record.block, record)
  }

  /** Frees the tails that this block begins with, where it is as durable as they are. */
  #reapBefore(block: CachedBlock): void {
    while (!block.gone) {
      const tail = block.parent.children.beginningOf(block)
      if (tail === null || tail.children.size > 0 || this.isInUse(tail)) return
      if (!this.#outlives(block, tail)) return
      this.#takeOut(tail, null, [])
    }
  }

  #outlives(block: CachedBlock, tail: CachedBlock): boolean {
    const isKeptOff = (record: CachedRecord) => record.ssd === 'kept off'
    const ramIsEnough = this.#ssd === null || tail.records.every(isKeptOff)
    return block.records.every(
      (record) => record.ssd === 'stored' || (ramIsEnough && record.extent !== null),
    )
  }

  #reclaimable(
    order: Iterable<CachedRecord>,
    mayGo: (record: CachedRecord) => boolean,
    bytesOf: (sizeBytes: number) => number,
  ): number {
    let sumBytes = 0
    for (const record of order) if (mayGo(record)) sumBytes += bytesOf(record.sizeBytes)
    return sumBytes
  }
}

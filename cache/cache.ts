/**
 * The façade: plan and lease, listing and eviction, statistics. It owns the index and both tiers.
 */
import { Admission } from './admission.ts'
import { adoptStored } from './adopt.ts'
import { Budgets } from './budgets.ts'
import type { CacheOptions } from './cache-options.ts'
import { cutBlocks } from './chain.ts'
import { demote, readBack, writeThrough } from './chain-tiers.ts'
import { DamageLog } from './damage.ts'
import { decide } from './decision.ts'
import { DiskGuard } from './disk-guard.ts'
import { CacheError, isOutOfRoom } from './errors.ts'
import { Keeper, type Standing } from './keeper.ts'
import { Keeping, type KeepRequest, type PinRefusal, reachOf } from './keeping.ts'
import { type LeaseHost, type LeaseRequest, PrefixLease } from './lease.ts'
import { type CacheListener, nobody } from './listener.ts'
import { createNotes, type NamespaceNotes } from './notes.ts'
import { type CachedBlock, type CachedRecord, isGone, PrefixIndex } from './prefix-index.ts'
import { RamStore } from './ram-store.ts'
import { type Refilled, type RefillRequest, refill } from './refill.ts'
import { Removal } from './removal.ts'
import { Shares } from './shares.ts'
import { SsdStore } from './ssd-store.ts'
import type { Arena, SsdTier } from './tiers/tier.ts'
import type { BlockHash, Namespace, TierName, TierUsage, TokenIds } from './types.ts'
import type { UpkeepHost } from './upkeep.ts'
import { tierUsage } from './usage.ts'
import { WriteBudget, type WriteUsage } from './write-budget.ts'

export interface CacheCounters {
  readonly corruptBlocks: number
  /** Writes and removals that the disk has refused, and records that found no room there. */
  readonly failedWrites: number
  readonly refusedWrites: number
}

export class Cache {
  readonly index: PrefixIndex
  readonly blockTokens: number
  /** What eviction by policy leaves although no request runs. */
  readonly keeping: Keeping
  readonly budgets: Budgets
  readonly shares: Shares
  /** Null without an SSD tier. */
  readonly disk: DiskGuard | null
  readonly #options: CacheOptions
  readonly #ram: RamStore
  readonly #ssd: SsdStore | null
  readonly #budget: WriteBudget
  readonly #admission: Admission | null
  readonly #removal: Removal
  readonly #host: LeaseHost
  readonly #notes: NamespaceNotes
  readonly #keeper: Keeper
  #listener = nobody
  readonly #unwritten = { failedWrites: 0, refusedWrites: 0 }
  #openLeases = 0
  #ramReadBytes = 0
  #ramWrittenBytes = 0

  constructor(options: CacheOptions) {
    this.#options = options
    this.blockTokens = options.blockTokens
    const { ssd } = options
    const readTokens = (hash: BlockHash) => this.#readTokens(hash)
    this.index = new PrefixIndex(options.hash64, readTokens, new DamageLog(options))
    this.keeping = this.#createKeeping()
    this.#keeper = new Keeper(options.eviction, options.rememberedBlocks)
    this.shares = new Shares({ capacityBytes: (tier) => this.#capacityBytes(tier) })
    this.#ram = new RamStore(
      { ...options, keeper: this.#keeper, shares: this.shares },
      {
        onLastCopyGone: (record) => this.#removal.lost(record),
        onEntered: (record) => this.#listener.onStored(record, 'ram'),
        onLeft: (record) => this.#listener.onRemoved(record, 'ram'),
        isKept: (record) => this.keeping.isKept(record, 'ram'),
      },
    )
    this.#budget = new WriteBudget({
      perDayBytes: options.ssdWritesPerDayBytes,
      saved: ssd?.writes() ?? null,
      nowMs: options.now(),
    })
    this.#ssd = ssd === null ? null : this.#createSsdStore(ssd)
    this.#admission = this.#createAdmission()
    this.#removal = this.#createRemoval()
    this.#host = this.#createHost()
    this.budgets = new Budgets({ ...this.#host, keeping: this.keeping, warn: options.warn })
    const isStored = (namespace: Namespace) => this.index.has(namespace)
    this.#notes = createNotes(ssd, isStored, options.warn)
    if (ssd !== null) this.#adopt(ssd)
    const admission = this.#admission
    this.disk = ssd && admission && new DiskGuard({ tier: ssd, admission, warn: options.warn })
  }

  get arena(): Arena {
    return this.#options.arena
  }

  get counters(): CacheCounters {
    return { corruptBlocks: this.#removal.corruptBlocks, ...this.#unwritten }
  }

  /** One listener, in place of the one before. */
  listen(listener: CacheListener): void {
    this.#listener = listener
  }

  /** Hits of earlier runs. False: no such block is stored. */
  restoreHits(hash: string, hits: number): boolean {
    const block = this.index.get(hash as BlockHash)
    if (block !== undefined) block.hits += hits
    return block !== undefined
  }

  /** What was noted of the namespaces, also by earlier runs. */
  get notes(): ReadonlyMap<Namespace, string> {
    return this.#notes.all
  }

  /** Remembers whose blocks these are. */
  note(namespace: Namespace, text: string): void {
    this.#notes.write(namespace, text)
    this.shares.regroup(namespace)
  }

  /** Chain hashes of a prompt's blocks, stored or not; the last one may be a tail's. */
  hashesOf(namespace: Namespace, tokens: TokenIds): BlockHash[] {
    const { hash64, blockTokens } = this.#options
    return cutBlocks(hash64, namespace, tokens, blockTokens).map(({ hash }) => hash)
  }

  /** Decides what of a prompt is restored and takes a lease on it. Release it in a `finally`. */
  lease(request: LeaseRequest): PrefixLease {
    const { hash64, now } = this.#options
    const memory = { hash64, whenEvicted: this.#listener.whenEvicted, nowMs: now() }
    const { plan, blocks, shared } = decide(this.index, request, this.#options, memory)
    const root = this.index.root(request.namespace)
    const { prefillTokensPerMs } = request.rates
    const chain = { root, spill: request.spill, kinds: request.layout.kinds, shared }
    this.#openLeases++
    return new PrefixLease(this.#host, plan, { ...chain, prefillTokensPerMs }, blocks)
  }

  /**
   * Brings back into RAM what was used last before the store was opened, as far as `share` of the
   * tier is warm and free. Requests go first. A record that cannot be read is warned of, as ever.
   */
  refill({ warmBytes, share, yieldMs, isWanted }: RefillRequest): Promise<Refilled> {
    return refill(this.#host, {
      warmBytes,
      fillBytes: this.arena.capacityBytes * share,
      isWanted: ({ block }) => isWanted(block.namespace),
      // What a hit is compared with: read now, or while a request waits.
      onFilled: ({ block }) => this.index.tokensOf(block),
      turn: () => this.#withoutLeases(AbortSignal.timeout(yieldMs)),
    })
  }

  /** For what looks at, or moves, everything that is stored. */
  get upkeep(): UpkeepHost {
    const flush = () => this.flush()
    const withoutLeases = (deadline: AbortSignal) => this.#withoutLeases(deadline)
    return { ...this.#host, flush, withoutLeases }
  }

  usage(): TierUsage[] {
    const traffic = { readBytes: this.#ramReadBytes, writtenBytes: this.#ramWrittenBytes }
    return tierUsage(this.#ram, this.#ssd, traffic, (...copy) => this.keeping.isKept(...copy))
  }

  /** See `Keeping.pin`, and `writeThrough`. */
  pin(hash: BlockHash, request: KeepRequest): PinRefusal | null {
    const reach = reachOf(this.index.get(hash) ?? null, request.isExact, this.blockTokens)
    if (this.#admission !== null) writeThrough(this.#admission, reach)
    return this.keeping.pin(hash, request)
  }

  /** See `readBack`. */
  readBack(block: CachedBlock, isExact: boolean, signal: AbortSignal): Promise<number> {
    return readBack(this.#host, reachOf(block, isExact, this.blockTokens), signal)
  }

  /** See `Keeper.standingOf`. */
  standingOf(block: CachedBlock): Standing {
    return this.#keeper.standingOf(block)
  }

  /** See `demote`. */
  demote(blocks: readonly CachedBlock[]): void {
    demote(this.#host, blocks)
  }

  /** Bytes that this record takes in a tier, as the budgets count them; 0 where it is not. */
  bytesIn(tier: TierName, record: CachedRecord): number {
    if (tier === 'ram') {
      return record.extent === null ? 0 : this.arena.allocatedBytes(record.sizeBytes)
    }
    return record.ssd === 'stored' ? (this.#ssd?.tier.allocatedBytes(record.sizeBytes) ?? 0) : 0
  }

  /** See `Removal.evict`. */
  evict(blocks: readonly CachedBlock[], tier: TierName | null): Promise<CachedBlock[]> {
    return this.#removal.evict(blocks, tier)
  }

  /** Could `evict` remove a copy of this block now, its children being gone? */
  isInUse(block: CachedBlock): boolean {
    return this.#removal.isInUse(block)
  }

  /** What was written to the SSD, and what may be; null without an SSD tier. */
  ssdWrites(): WriteUsage | null {
    return this.#ssd === null ? null : this.#budget.usage(this.#options.now())
  }

  /** See `WriteBudget.change`. */
  changeSsdWrites(perDayBytes: number | null): void {
    this.#budget.change(perDayBytes, this.#options.now())
  }

  /** Waits for every write that is under way. */
  async flush(): Promise<void> {
    await this.#ssd?.idle()
  }

  /**
   * Writes what had to wait in RAM as far as the budget and `flushMs` go, finishes the writes, then
   * closes both tiers. No lease may be open.
   */
  async close(flushMs = 0): Promise<void> {
    await this.budgets.close()
    if (flushMs > 0) await this.#admission?.flush(AbortSignal.timeout(flushMs))
    await this.flush()
    await this.#options.ssd?.close()
    this.arena.close()
  }

  #capacityBytes(tier: TierName): number {
    const { arena, ssd } = this.#options
    return tier === 'ram' ? arena.capacityBytes : (ssd?.usage().capacityBytes ?? 0)
  }

  async #withoutLeases(deadline: AbortSignal): Promise<void> {
    while (this.#openLeases > 0 && !deadline.aborted) await this.#ram.changed(deadline)
  }

  #createKeeping(): Keeping {
    const { arena, ssd, blockTokens, keptShare, keptHints, now } = this.#options
    return new Keeping({
      index: this.index,
      blockTokens,
      share: keptShare,
      keptHints,
      now,
      capacityBytes: (tier) => this.#capacityBytes(tier),
      allocatedBytes: (tier, sizeBytes) =>
        (tier === 'ram' ? arena : ssd)?.allocatedBytes(sizeBytes) ?? 0,
    })
  }

  #createRemoval(): Removal {
    return new Removal({
      index: this.index,
      ram: this.#ram,
      ssd: this.#ssd,
      blockTokens: this.blockTokens,
      isPinned: (block) => this.keeping.isPinned(block),
      onGone: (block) => this.keeping.onGone(block),
      onEvicted: (block) => this.#listener.onEvicted(block),
    })
  }

  #createAdmission(): Admission | null {
    if (this.#ssd === null) return null
    const { keeping } = this
    return new Admission({ ram: this.#ram, ssd: this.#ssd, keeper: this.#keeper, keeping })
  }

  #createSsdStore(tier: SsdTier): SsdStore {
    return new SsdStore({
      tier,
      index: this.index,
      ram: this.#ram,
      budget: this.#budget,
      writesInFlight: this.#options.ssdWritesInFlight,
      isKept: (record) => this.keeping.isKept(record, 'ssd'),
      onEntered: (record) => this.#listener.onStored(record, 'ssd'),
      onLeft: (record) => this.#listener.onRemoved(record, 'ssd'),
      onDurable: (record) => {
        this.#listener.onSsdWritten(record.block.namespace, record.sizeBytes)
        this.keeping.onMoved(record.block)
        this.#removal.reapBefore(record.block)
      },
      onRead: ({ block, sizeBytes }) => this.#listener.onSsdRead(block.namespace, sizeBytes),
      boundaryShare: this.#options.boundaryShare,
      keeper: this.#keeper,
      shares: this.shares,
      now: this.#options.now,
      onFailed: (error, record) => {
        const isRefused = isOutOfRoom(error)
        this.#unwritten[isRefused ? 'refusedWrites' : 'failedWrites']++
        if (isRefused) {
          // It is so for many blocks at once: with their names each line would be another one.
          this.#options.warn(
            'the SSD tier has no room for some blocks; they stay in RAM only',
            error,
          )
          return
        }
        const what = record === null ? 'a removal' : `block ${record.block.hash}`
        this.#options.warn(`the SSD tier refused ${what}; it stays in RAM only`, error)
      },
      onLeftOff: ({ block }) => this.keeping.onMoved(block),
      onUnfounded: (record) => this.#removal.unfounded(record),
      onEvicted: (record) => this.#removal.leftSsd(record),
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
      keeper: this.#keeper,
      index: this.index,
      ram: this.#ram,
      ssd: this.#ssd,
      admission: this.#admission,
      keeping: this.keeping,
      discard: (record) => this.#removal.discard(record),
      reap: (block) => this.#removal.reap(block),
      forgetBoundary: (block) => this.#removal.forgetBoundary(block),
      onLoadFailed: (record, error) => this.#onLoadFailed(record, error),
      onRead: (record) => {
        this.#ramReadBytes += record.sizeBytes
      },
      onReleased: () => {
        this.#openLeases--
      },
      onSaved: (record) => {
        this.#ramWrittenBytes += record.sizeBytes
        this.keeping.onSaved(record.block)
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

  #adopt(tier: SsdTier): void {
    const { records, orphans } = adoptStored(this.index, tier.records())
    for (const record of records) this.#ssd?.adopt(record)
    void this.#ssd?.drop(orphans)
  }

  #onLoadFailed(record: CachedRecord, error: unknown): void {
    // A damaged block before it has taken this one along.
    if (isGone(record)) return
    const isDamage = error instanceof CacheError && error.code === 'PREFIXD_E_CACHE_CORRUPT'
    const { kind, block } = record
    const what = kind === 'kv' ? `block ${block.hash}` : `the ${kind} of block ${block.hash}`
    const cost = kind === 'kv' ? 'its chain is cut there' : 'an earlier one is tried'
    this.#options.warn(`${what} could not be read back; ${cost}`, error)
    if (isDamage) this.#removal.discard(record)
  }
}

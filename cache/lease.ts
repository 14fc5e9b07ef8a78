/**
 * One request's hold on the cache: what it restores may not be evicted, what it computes is saved.
 */

import type { PromptMarks } from './boundaries.ts'
import { type Keeper, type Use, useKeyOf } from './keeper.ts'
import type { Keeping } from './keeping.ts'
import { type LoadedRecord, type LoadingHost, loadWindows, readAhead } from './loading.ts'
import {
  type BlockMatch,
  type CachedBlock,
  type CachedRecord,
  isGone,
  recordOf,
} from './prefix-index.ts'
import {
  type ChainPlace,
  ChainWriter,
  type Place,
  type Saveable,
  type SavingHost,
} from './saving.ts'
import { boundariesTo, markSpare } from './spare.ts'
import type {
  Crc32s,
  Extent,
  Layout,
  Namespace,
  Plan,
  PlannedRecord,
  PrefixId,
  Rates,
  TokenIds,
} from './types.ts'

export interface LeaseRequest {
  readonly namespace: Namespace
  readonly tokens: TokenIds
  readonly layout: Layout
  readonly rates: Rates
  /** False: the client asked not to read the cache. */
  readonly read: boolean
  /** Absent: nobody knows. Only layouts that need boundaries are worth the search. */
  readonly marks?: PromptMarks
  /** False: what is saved stays in RAM and is never written to the SSD. */
  readonly spill: boolean
}

/** What a lease needs of the cache that gives it. */
export interface LeaseHost extends LoadingHost, SavingHost {
  readonly keeping: Pick<Keeping, 'hint'>
  /** Takes a record out of the index, with all that is useless without it. */
  discard(damaged: CachedRecord): void
  /** Frees a block that is of no use any more; see `Removal.reap`. */
  reap(block: CachedBlock): void
  onReleased(): void
  readonly keeper: Keeper
}

/** Part of the RAM tier that a request may claim while it waits, at the cost of what is there. */
const aheadShare = 1 / 4

/** Where a request's chain is, and how fast its model computes; null: not measured yet. */
export interface LeasePlace extends ChainPlace {
  readonly prefillTokensPerMs: number | null
}

export const prefixIdOf = ({ hash }: Pick<CachedBlock, 'hash'>): PrefixId =>
  hash.slice(0, 12) as PrefixId

export class PrefixLease {
  readonly plan: Plan
  readonly #host: LeaseHost
  readonly #place: LeasePlace
  readonly #blocks: readonly CachedBlock[]
  readonly #leased = new Set<CachedBlock>()
  readonly #writer: ChainWriter
  /** Does the engine hold something of it? What was only read ahead is no use of a block. */
  #isUsed = false
  #isReleased = false

  constructor(host: LeaseHost, plan: Plan, place: LeasePlace, matches: readonly BlockMatch[]) {
    this.#host = host
    this.plan = plan
    this.#place = place
    place.root.leases++
    this.#blocks = matches
      .slice(0, plan.records.filter(({ kind }) => kind === 'kv').length)
      .map((match) => match.block)
    this.#writer = new ChainWriter(host, place, (block) => this.#hold(block))
    for (const block of this.#blocks) this.#hold(block)
  }

  /** The deepest stored block of this request; null when nothing of it is stored. */
  get end(): CachedBlock | null {
    return this.#deepest
  }

  /** The deepest block that the plan restores; null where it restores none. */
  get begun(): CachedBlock | null {
    return this.#blocks.at(-1) ?? null
  }

  /** Names the deepest stored block of this request; null when nothing of it is stored. */
  get prefixId(): PrefixId | null {
    const block = this.#deepest
    return block === null ? null : prefixIdOf(block)
  }

  /** A wish that what is stored of this request stays for so long, where there is room for it. */
  keepFor(ttlMs: number): void {
    const wish = { untilMs: this.#host.now() + ttlMs, isExact: this.#place.kinds.length > 1 }
    if (this.#deepest !== null) this.#host.keeping.hint(this.#deepest.hash, wish)
  }

  /** The planned records in the arena, window by window; see `loadWindows`. */
  windows(): AsyncGenerator<LoadedRecord[]> {
    return loadWindows(this.#host, this.plan.records, (planned) => this.#blockOf(planned))
  }

  /**
   * Reads what the plan wants from the SSD into RAM, in its order, until `signal` says stop. For a
   * request that waits: its own plan, made later, finds the records there.
   */
  async readAhead(signal: AbortSignal): Promise<void> {
    const { ram } = this.#host
    const { namespace } = this.#place.root
    let leftBytes = ram.mostBytes(namespace) * aheadShare
    for (const planned of this.plan.records) {
      const record = recordOf(this.#blockOf(planned), planned.kind)
      if (record === undefined || record.ssd !== 'stored') return
      leftBytes -= ram.arena.allocatedBytes(record.sizeBytes)
      if (signal.aborted || leftBytes < 0) return
      if (
        record.extent === null &&
        !(await readAhead(this.#host, record, () => ram.allocate(record, namespace)))
      )
        return
    }
  }

  /** The engine confirms how many tokens stand in its sequence; what it saves continues there. */
  confirmRestored(tokenCount: number): void {
    this.#isUsed ||= tokenCount > 0
    const { blockTokens } = this.#host
    for (const block of this.#blocks) {
      if (block.gone || block.index * blockTokens >= tokenCount) break
      block.hits++
      const isWhole = block.tokenCount === blockTokens
      if (isWhole && (block.index + 1) * blockTokens <= tokenCount) {
        this.#writer.continueBehind(block)
      }
    }
    // Before what is computed behind them: that may then go to the SSD as well.
    if (this.#place.spill) this.#host.admission?.usedAgain(this.#blocks)
  }

  /** Is this beginning empty, or made of whole blocks that are bit-identical to cold? */
  isOnGrid(tokenCount: number): boolean {
    const { blockTokens } = this.#host
    const blockCount = tokenCount / blockTokens
    const blocks = this.#blocks.slice(0, blockCount)
    return blocks.length === blockCount && blocks.every((block) => block.grid)
  }

  /**
   * The engine refused this record: its chain is cut there and the bytes are never offered again.
   */
  rejectRecord(recordIndex: number): void {
    const planned = this.plan.records[recordIndex]
    const block = planned && this.#blockOf(planned)
    const record = block && recordOf(block, planned.kind)
    if (record !== undefined) this.#host.discard(record)
  }

  reserve(saveable: Saveable): Promise<Extent | null> {
    return this.#writer.reserve(saveable)
  }

  commit(place: Place, crc32s: Crc32s): boolean {
    return this.#writer.commit(place, crc32s)
  }

  abandon(place: Place): void {
    this.#writer.abandon(place)
  }

  /** Tokens that are acknowledged as saved; see `ChainWriter.settle`. */
  settle(timeoutMs: number): Promise<number> {
    return this.#writer.settle(timeoutMs)
  }

  /** Gives everything back. Call it when the worker no longer touches any bytes. Idempotent. */
  release(): void {
    if (this.#isReleased) return
    this.#isReleased = true
    this.#writer.close()
    // From the last block to the first, so that in the order of use children are older.
    const blocks = [...this.#leased].sort((a, b) => b.index - a.index)
    const isUsed = this.#isUsed || this.#writer.saved.length > 0
    if (isUsed) this.#host.keeper.used(blocks, (block) => this.#useOf(block))
    const nowMs = this.#host.now()
    for (const block of blocks) {
      block.leases--
      if (!block.gone) this.#touch(block, nowMs)
    }
    this.#touchBoundaries(nowMs)
    for (const block of blocks) if (!block.gone) this.#host.reap(block)
    this.#leased.clear()
    this.#place.root.leases--
    this.#host.index.dropUnused(this.#place.root)
    this.#host.onReleased()
    this.#host.ram.wake()
  }

  /** Of a prompt that was stored as a whole nothing is saved: its end is where it was found. */
  get #deepest(): CachedBlock | null {
    const found = this.#blocks.at(-1) ?? null
    const { matchedTokens, promptTokens } = this.plan
    const isWhole = matchedTokens === promptTokens && this.#writer.saved.length === 0
    return isWhole && found?.gone === false ? found : (this.#writer.deepest ?? found)
  }

  #hold(block: CachedBlock): void {
    if (this.#leased.has(block)) return
    this.#leased.add(block)
    block.leases++
  }

  #blockOf({ from }: PlannedRecord): CachedBlock {
    return this.#blocks[Math.floor(from / this.#host.blockTokens)] as CachedBlock
  }

  #useOf(block: CachedBlock): Use {
    const { prefillTokensPerMs } = this.#place
    return {
      key: useKeyOf(block.hash),
      sizeBytes: recordOf(block, 'kv')?.sizeBytes ?? 0,
      recomputeMs: prefillTokensPerMs === null ? null : block.tokenCount / prefillTokensPerMs,
    }
  }

  #touch(block: CachedBlock, nowMs: number): void {
    block.lastUsedAtMs = nowMs
    for (const record of block.records) {
      if (record.kind !== 'kv') continue
      this.#host.ram.touch(record)
      this.#host.ssd?.touch(record, nowMs)
    }
  }

  /**
   * What is exact at a boundary was used where the request went on, not all along its chain. The
   * last one is newer, since the next turn goes on there; those that other sessions begin with are
   * the newest.
   */
  #touchBoundaries(nowMs: number): void {
    const { ram, ssd, blockTokens } = this.#host
    const target = this.#blocks.at(-1)
    const used = target?.records.filter((record) => this.#isPlanned(record)) ?? []
    const saved = this.#writer.saved.filter(({ kind }) => kind !== 'kv')
    if (used.length + saved.length === 0) return
    const { shared } = this.#place
    const deepest = this.#writer.deepest ?? target
    const along = deepest?.gone === false ? boundariesTo(deepest, blockTokens) : []
    for (const record of markSpare(along, shared)) {
      ram.order.regroup(record)
      ssd?.order.regroup(record)
    }
    const newest = shared.flatMap(
      (place) => along.find(({ position }) => position === place)?.block.records ?? [],
    )
    for (const record of [...used, ...saved, ...newest]) {
      if (record.kind === 'kv' || isGone(record)) continue
      ram.touch(record)
      ssd?.touch(record, nowMs)
    }
  }

  #isPlanned({ kind }: CachedRecord): boolean {
    return kind !== 'kv' && this.plan.records.some((planned) => planned.kind === kind)
  }
}

/**
 * Stores what one request's engine has computed, block by block along the prompt's chain.
 *
 * The engine asks for room ahead of time, so the end of the chain may be reserved and not yet
 * stored. A commit is accepted only behind a stored parent: a child without its parent is
 * garbage.
 */

import type { Admission } from './admission.ts'
import { blockHash } from './chain.ts'
import { isInUse } from './evict.ts'
import {
  addRecord,
  type CachedBlock,
  type CachedRecord,
  isBlock,
  type PrefixIndex,
  recordOf,
  type TreeRoot,
} from './prefix-index.ts'
import type { RamStore } from './ram-store.ts'
import type { SsdStore } from './ssd-store.ts'
import type { BlockHash, Crc32s, Extent, Hash64, RecordKind, TokenIds } from './types.ts'

export interface SavingHost {
  readonly hash64: Hash64
  readonly index: PrefixIndex
  readonly ram: RamStore
  readonly ssd: SsdStore | null
  /** Null without an SSD tier. */
  readonly admission: Admission | null
  readonly blockTokens: number
  readonly reserveWaitMs: number
  now(): number
  onSaved(record: CachedRecord): void
  /** See `Removal.discard`. */
  discard(record: CachedRecord): void
  /** Takes what is exact at this block's end out, or the whole block where it has no rows. */
  forgetBoundary(block: CachedBlock): void
}

/** Tokens [from, to) that the engine has computed and that could be stored. */
export interface Saveable {
  readonly kind: RecordKind
  readonly from: number
  readonly to: number
  readonly sizeBytes: number
  readonly tokens: TokenIds
  readonly grid: boolean
}

/** The place that a reservation gave, as the engine names it. */
export interface Place {
  readonly offset: number
  readonly generation: number
}

/** Where one request's chain begins, and how far down its records may go. */
export interface ChainPlace {
  readonly root: TreeRoot
  /** False: what this request computes stays in RAM and is never written to the SSD. */
  readonly spill: boolean
  /** Of the layout. With more than rows, tokens are saved when a boundary behind them is. */
  readonly kinds: readonly RecordKind[]
  /**
   * Positions of the boundaries that other sessions begin with: at the client's breakpoints, then
   * behind a chat's first message.
   */
  readonly shared: readonly number[]
}

interface Reservation {
  readonly saveable: Saveable
  readonly extent: Extent
  readonly parent: BlockHash
  readonly hash: BlockHash
}

/** What is exact at a boundary waits for room no longer: the engine stands still meanwhile. */
const exactWaitMs = 250

/** The blocks from the root to this one, without those before the deepest that `settled` has. */
function chainTo(block: CachedBlock, settled: ReadonlySet<CachedBlock>): CachedBlock[] {
  const chain: CachedBlock[] = []
  let node: CachedBlock | TreeRoot = block
  while (isBlock(node) && !settled.has(node)) {
    chain.push(node)
    node = node.parent
  }
  return chain.reverse()
}

export class ChainWriter {
  readonly #host: SavingHost
  readonly #root: TreeRoot
  readonly #spill: boolean
  readonly #kinds: readonly RecordKind[]
  /** Takes a lease on a block for as long as the request runs. */
  readonly #hold: (block: CachedBlock) => void
  readonly #reservations = new Map<number, Reservation>()
  /** Blocks whose rows have room, or are about to get it. */
  readonly #expected = new Set<BlockHash>()
  readonly #saved: CachedRecord[] = []
  /** Names of the full blocks that are stored or reserved, behind the root's. */
  readonly #chain: BlockHash[]
  #deepest: CachedBlock | null = null
  #isClosed = false

  constructor(host: SavingHost, place: ChainPlace, hold: (block: CachedBlock) => void) {
    const { root } = place
    this.#host = host
    this.#root = root
    this.#spill = place.spill
    this.#kinds = place.kinds
    this.#hold = hold
    this.#chain = [root.hash]
  }

  /** What has been committed, in that order. */
  get saved(): readonly CachedRecord[] {
    return this.#saved
  }

  /** The deepest stored block of this request's chain; null when nothing is stored. */
  get deepest(): CachedBlock | null {
    return this.#deepest?.gone === false ? this.#deepest : null
  }

  /** Goes on behind a full block that is stored and that the engine now holds. */
  continueBehind(block: CachedBlock): void {
    this.#hold(block)
    this.#deepest = block
    this.#chain.splice(block.index + 1, this.#chain.length, block.hash)
  }

  /** Room for a record. Null: stored already, no room, or its parent is not stored. */
  async reserve(saveable: Saveable): Promise<Extent | null> {
    const parent = this.#isClosed ? undefined : this.#parentOf(saveable)
    if (parent === undefined) return null
    const hash = blockHash(this.#host.hash64, parent, saveable.tokens)
    if (!this.#isWanted(hash, parent, saveable)) return null
    // The next block may be asked for while this one waits for room.
    if (saveable.kind === 'kv' && this.#isFull(saveable)) this.#chain.push(hash)
    if (saveable.kind === 'kv') this.#expected.add(hash)
    const { ram, reserveWaitMs } = this.#host
    const waitMs = saveable.kind === 'kv' ? reserveWaitMs : Math.min(reserveWaitMs, exactWaitMs)
    const extent = await ram.allocateWithin(saveable, this.#root.namespace, waitMs)
    if (extent === null) {
      if (saveable.kind === 'kv') this.#expected.delete(hash)
      return null
    }
    this.#reservations.set(extent.generation, { saveable, extent, parent, hash })
    return extent
  }

  /** The engine has filled a reservation. False: it was not ours, or its parent is not stored. */
  commit(place: Place, crc32s: Crc32s): boolean {
    const reservation = this.#take(place)
    if (reservation === null) return false
    const { extent } = reservation
    const record = this.#isClosed ? null : this.#store(reservation, crc32s)
    if (record === null) {
      this.#release(extent)
      return false
    }
    this.#host.ram.hold(record, extent)
    this.#hold(record.block)
    this.#deepest = record.block
    this.#saved.push(record)
    this.#host.onSaved(record)
    // Once a request: a disk that is still full is not asked for every block.
    if (this.#saved.length === 1) this.#retryBefore(record.block)
    this.#writeBehind(record)
    return true
  }

  abandon(place: Place): void {
    const reservation = this.#take(place)
    if (reservation !== null) this.#release(reservation.extent)
  }

  /**
   * Waits until what was committed is on the slowest tier, at most `timeoutMs`. Returns the
   * tokens of the unbroken run that is, up to its last boundary where the layout needs one: only
   * they are acknowledged.
   */
  async settle(timeoutMs: number): Promise<number> {
    const deadline = AbortSignal.timeout(timeoutMs)
    const settled = new Set<CachedBlock>()
    let coveredTo = 0
    let coveredTokens = 0
    let savedTokens = 0
    for (const block of new Set(this.#saved.map((record) => record.block))) {
      // Another request may have saved what this one goes on behind, a moment ago or in vain.
      for (const member of chainTo(block, settled)) {
        if (!(await this.#isSafe(member, deadline))) return savedTokens
        settled.add(member)
      }
      const from = block.index * this.#host.blockTokens
      const to = from + block.tokenCount
      coveredTokens += Math.max(0, to - Math.max(from, coveredTo))
      coveredTo = Math.max(coveredTo, to)
      const isWhole = this.#kinds.every((kind) => recordOf(block, kind) !== undefined)
      if (isWhole) savedTokens = coveredTokens
    }
    return savedTokens
  }

  /**
   * Takes back what was reserved and never filled. The worker must not touch any bytes any more.
   */
  close(): void {
    this.#isClosed = true
    for (const { extent } of this.#reservations.values()) this.#release(extent)
    this.#reservations.clear()
    for (const { block } of this.#saved) {
      if (!block.gone && recordOf(block, 'kv') === undefined) this.#host.forgetBoundary(block)
    }
  }

  #release(extent: Extent): void {
    this.#host.ram.release(extent, this.#root.namespace)
  }

  async #isSafe(block: CachedBlock, deadline: AbortSignal): Promise<boolean> {
    const { ram, ssd } = this.#host
    const isPending = (record: CachedRecord) => record.ssd === 'pending'
    while (block.records.some(isPending) && !deadline.aborted) await ram.changed(deadline)
    const staysInRam = (record: CachedRecord) =>
      ssd === null || (!this.#spill && (record.ssd === 'kept off' || record.ssd === 'waiting'))
    const isSafe = (record: CachedRecord) =>
      staysInRam(record)
        ? record.extent !== null
        : record.ssd === 'stored' && ssd?.isOutdated(record) === false
    return !block.gone && block.records.every(isSafe)
  }

  #writeBehind(record: CachedRecord): void {
    const { admission } = this.#host
    if (admission === null) return
    // Bytes that replace stored ones: their tokens are on the disk already, by another's wish.
    if (!this.#spill && record.ssd !== 'stored') {
      record.ssd = 'kept off'
      return
    }
    admission.enter(record)
  }

  /** What the disk has refused may fit by now; without it this block would be garbage there. */
  #retryBefore(block: CachedBlock): void {
    const { admission } = this.#host
    if (admission === null || !this.#spill) return
    for (const { records } of chainTo(block, new Set())) {
      for (const record of records) {
        if (record.ssd === 'failed' && record.extent !== null) admission.enter(record)
      }
    }
  }

  #isFull(saveable: Saveable): boolean {
    return saveable.tokens.length === this.#host.blockTokens
  }

  /** The stored block of this name, or the root; undefined while it is only reserved. */
  #stored(hash: BlockHash): CachedBlock | TreeRoot | undefined {
    return hash === this.#root.hash ? this.#root : this.#host.index.get(hash)
  }

  /** The name of the block before it; undefined: the record does not follow the chain. */
  #parentOf({ kind, from }: Saveable): BlockHash | undefined {
    const depth = from / this.#host.blockTokens
    // Rows go on where the chain ends; what is exact at a boundary may follow its block's rows.
    return kind === 'kv' && depth !== this.#chain.length - 1 ? undefined : this.#chain[depth]
  }

  /** A block that is stored already is gone over, unless this one is more exact. */
  #isWanted(hash: BlockHash, parent: BlockHash, saveable: Saveable): boolean {
    const existing = this.#sound(hash)
    if (existing === undefined) return this.#isNew(hash, parent, saveable)
    if (!this.#isSameBlock(existing, parent, saveable)) return false
    const isStored = recordOf(existing, saveable.kind) !== undefined
    // The engine asks for it before the rows that replace others are there; they take it along.
    const isRenewed = saveable.grid && !existing.grid && this.#expected.has(hash)
    if (saveable.kind !== 'kv') return !isStored || isRenewed
    if (!isStored || (saveable.grid && !existing.grid)) return true
    if (this.#isFull(saveable)) this.continueBehind(existing)
    return false
  }

  /** The block of this name. One whose token ids are damaged matches nobody, and makes room. */
  #sound(hash: BlockHash): CachedBlock | undefined {
    const { index, discard } = this.#host
    const block = index.get(hash)
    const rows = block && recordOf(block, 'kv')
    if (rows === undefined || index.isReadable(rows.block)) return block
    discard(rows)
    return index.get(hash)
  }

  #isNew(hash: BlockHash, parent: BlockHash, saveable: Saveable): boolean {
    if (saveable.kind !== 'kv') {
      // Rows for which there was no room: what is exact at their end would be garbage.
      return this.#expected.has(hash)
    }
    if (this.#isFull(saveable) || this.#kinds.length > 1) return true
    const covering = this.#stored(parent)?.children.longest(saveable.tokens)
    return covering?.sharedTokens !== saveable.tokens.length
  }

  /** Two different blocks of one name are a collision of hashes: the later one is not stored. */
  #isSameBlock(block: CachedBlock, parent: BlockHash, saveable: Saveable): boolean {
    const tokens = this.#host.index.tokensOf(block)
    return (
      block.parent === this.#stored(parent) &&
      tokens.length === saveable.tokens.length &&
      tokens.every((token, i) => token === saveable.tokens[i])
    )
  }

  #take(place: Place): Reservation | null {
    const reservation = this.#reservations.get(place.generation)
    if (reservation?.extent.offset !== place.offset) return null
    this.#reservations.delete(place.generation)
    return reservation
  }

  #store(reservation: Reservation, crc32s: Crc32s): CachedRecord | null {
    const { saveable } = reservation
    const parent = this.#stored(reservation.parent)
    if (parent === undefined || (isBlock(parent) && recordOf(parent, 'kv') === undefined)) {
      return null
    }
    const existing = this.#host.index.get(reservation.hash)
    if (existing !== undefined && existing.parent !== parent) return null
    const block = existing ?? this.#insert(parent, reservation)
    const before = recordOf(block, saveable.kind)
    if (before !== undefined) return this.#replace(before, saveable, crc32s)
    // A block is as exact as the least exact of its records.
    block.grid &&= saveable.grid
    return addRecord(block, saveable.kind, saveable.sizeBytes, crc32s)
  }

  #insert(parent: CachedBlock | TreeRoot, { saveable, hash }: Reservation): CachedBlock {
    const nowMs = this.#host.now()
    return this.#host.index.insert({
      hash,
      parent,
      index: saveable.from / this.#host.blockTokens,
      tokenCount: saveable.tokens.length,
      tokens: saveable.tokens,
      grid: saveable.grid,
      createdAtMs: nowMs,
      lastUsedAtMs: nowMs,
    })
  }

  /** Bit-reproducible bytes take the place of those that are only as exact as the batching. */
  #replace(record: CachedRecord, saveable: Saveable, crc32s: Crc32s): CachedRecord | null {
    const { block } = record
    if (record.kind !== 'kv' || !saveable.grid || block.grid) return null
    if (block.records.some(isInUse)) return null
    // What the SSD has would no longer be what the index says.
    const isOnSsd = record.ssd === 'stored'
    if (isOnSsd && this.#host.admission?.affords(record) === false) return null
    // Rows without bytes would go with what is exact at their end.
    this.#hold(block)
    this.#host.forgetBoundary(block)
    this.#host.ram.forget(record)
    if (isOnSsd) this.#host.ssd?.keepOlder(record)
    record.crc32s = crc32s
    block.grid = true
    return record
  }
}

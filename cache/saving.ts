/**
 * Stores what one request's engine has computed, block by block along the prompt's chain.
 *
 * The engine asks for room ahead of time, so the end of the chain may be reserved and not yet
 * stored. A commit is accepted only behind a stored parent: a child without its parent is
 * garbage.
 */
import { blockHash, type Hash64 } from './chain.ts'
import {
  type CachedBlock,
  type CachedRecord,
  isBlock,
  newRecord,
  type PrefixIndex,
  type TreeRoot,
} from './prefix-index.ts'
import type { RamStore } from './ram-store.ts'
import type { SsdStore } from './ssd-store.ts'
import type { BlockHash, Crc32s, Extent, RecordKind, TokenIds } from './types.ts'

export interface SavingHost {
  readonly hash64: Hash64
  readonly index: PrefixIndex
  readonly ram: RamStore
  readonly ssd: SsdStore | null
  readonly blockTokens: number
  readonly reserveWaitMs: number
  now(): number
  onSaved(record: CachedRecord): void
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
}

interface Reservation {
  readonly saveable: Saveable
  readonly extent: Extent
  readonly parent: BlockHash
  readonly hash: BlockHash
}

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
  /** Takes a lease on a block for as long as the request runs. */
  readonly #hold: (block: CachedBlock) => void
  readonly #reservations = new Map<number, Reservation>()
  readonly #saved: CachedRecord[] = []
  /** End of the chain of full blocks that are stored or reserved. */
  #end: { readonly hash: BlockHash; readonly tokenCount: number }
  #deepest: CachedBlock | null = null
  #isClosed = false

  constructor(host: SavingHost, place: ChainPlace, hold: (block: CachedBlock) => void) {
    const { root } = place
    this.#host = host
    this.#root = root
    this.#spill = place.spill
    this.#hold = hold
    this.#end = { hash: root.hash, tokenCount: 0 }
  }

  /** The deepest stored block of this request's chain; null when nothing is stored. */
  get deepest(): CachedBlock | null {
    return this.#deepest?.gone === false ? this.#deepest : null
  }

  /** Goes on behind a full block that is stored and that the engine now holds. */
  continueBehind(block: CachedBlock): void {
    this.#hold(block)
    this.#deepest = block
    this.#end = { hash: block.hash, tokenCount: (block.index + 1) * this.#host.blockTokens }
  }

  /** Room for a record. Null: stored already, no room, or its parent is not stored. */
  async reserve(saveable: Saveable): Promise<Extent | null> {
    if (this.#isClosed || saveable.from !== this.#end.tokenCount) return null
    const parent = this.#end.hash
    const hash = blockHash(this.#host.hash64, parent, saveable.tokens)
    if (!this.#isWanted(hash, saveable)) return null
    // The next block may be asked for while this one waits for room.
    if (this.#isFull(saveable)) this.#end = { hash, tokenCount: saveable.to }
    const { ram, reserveWaitMs } = this.#host
    const extent = await ram.allocateWithin(saveable.sizeBytes, reserveWaitMs)
    if (extent === null) return null
    this.#reservations.set(extent.offset, { saveable, extent, parent, hash })
    return extent
  }

  /** The engine has filled a reservation. False: it was not ours, or its parent is not stored. */
  commit(place: Place, crc32s: Crc32s): boolean {
    const reservation = this.#take(place)
    if (reservation === null) return false
    const { extent } = reservation
    const record = this.#isClosed ? null : this.#store(reservation, crc32s)
    if (record === null) {
      this.#host.ram.release(extent)
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
    if (reservation !== null) this.#host.ram.release(reservation.extent)
  }

  /**
   * Waits until what was committed is on the slowest tier, at most `timeoutMs`. Returns the
   * tokens of the unbroken run that is: only they are acknowledged.
   */
  async settle(timeoutMs: number): Promise<number> {
    const deadline = AbortSignal.timeout(timeoutMs)
    const settled = new Set<CachedBlock>()
    let savedTokens = 0
    for (const { block } of this.#saved) {
      // Another request may have saved what this one goes on behind, a moment ago or in vain.
      for (const member of chainTo(block, settled)) {
        if (!(await this.#isSafe(member, deadline))) return savedTokens
        settled.add(member)
      }
      savedTokens += block.tokenCount
    }
    return savedTokens
  }

  /**
   * Takes back what was reserved and never filled. The worker must not touch any bytes any more.
   */
  close(): void {
    this.#isClosed = true
    for (const { extent } of this.#reservations.values()) this.#host.ram.release(extent)
    this.#reservations.clear()
  }

  async #isSafe(block: CachedBlock, deadline: AbortSignal): Promise<boolean> {
    const { ram, ssd } = this.#host
    const isPending = (record: CachedRecord) => record.ssd === 'pending'
    while (block.records.some(isPending) && !deadline.aborted) await ram.changed(deadline)
    const staysInRam = (record: CachedRecord) =>
      ssd === null || (!this.#spill && record.ssd === 'kept off')
    const isSafe = (record: CachedRecord) =>
      staysInRam(record) ? record.extent !== null : record.ssd === 'stored'
    return !block.gone && block.records.every(isSafe)
  }

  /**
   * To the disk, behind all that it continues: blocks that another request keeps off the disk are
   * this request's own beginning too, and without them its records would be garbage there.
   */
  #writeBehind(record: CachedRecord): void {
    const { ssd } = this.#host
    if (ssd === null) return
    // Bytes that replace stored ones: their tokens are on the disk already, by another's wish.
    if (!this.#spill && record.ssd !== 'stored') {
      record.ssd = 'kept off'
      return
    }
    const keptOff: CachedRecord[] = []
    let { parent } = record.block
    while (this.#spill && isBlock(parent)) {
      const members = parent.records.filter((member) => member.ssd === 'kept off')
      if (members.length === 0) break
      keptOff.push(...members)
      parent = parent.parent
    }
    for (const member of keptOff.reverse()) ssd.enqueue(member)
    ssd.enqueue(record)
  }

  /** What the disk has refused may fit by now; without it this block would be garbage there. */
  #retryBefore(block: CachedBlock): void {
    const { ssd } = this.#host
    if (ssd === null || !this.#spill) return
    for (const { records } of chainTo(block, new Set())) {
      for (const record of records) {
        if (record.ssd === 'failed' && record.extent !== null) ssd.enqueue(record)
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

  /** A block that is stored already is gone over, unless this one is more exact. */
  #isWanted(hash: BlockHash, saveable: Saveable): boolean {
    const existing = this.#host.index.get(hash)
    if (existing === undefined) {
      if (this.#isFull(saveable)) return true
      const covering = this.#stored(this.#end.hash)?.children.longest(saveable.tokens)
      return covering?.sharedTokens !== saveable.tokens.length
    }
    if (!this.#isSameBlock(existing, saveable)) return false
    if (saveable.grid && !existing.grid) return true
    if (this.#isFull(saveable)) this.continueBehind(existing)
    return false
  }

  /** Two different blocks of one name are a collision of hashes: the later one is not stored. */
  #isSameBlock(block: CachedBlock, saveable: Saveable): boolean {
    const tokens = this.#host.index.tokensOf(block)
    return (
      block.parent === this.#stored(this.#end.hash) &&
      tokens.length === saveable.tokens.length &&
      tokens.every((token, i) => token === saveable.tokens[i])
    )
  }

  #take(place: Place): Reservation | null {
    const reservation = this.#reservations.get(place.offset)
    if (reservation?.extent.generation !== place.generation) return null
    this.#reservations.delete(place.offset)
    return reservation
  }

  #store(reservation: Reservation, crc32s: Crc32s): CachedRecord | null {
    const parent = this.#stored(reservation.parent)
    if (parent === undefined) return null
    const existing = this.#host.index.get(reservation.hash)
    return existing === undefined
      ? this.#insert(parent, reservation, crc32s)
      : this.#replace(existing, reservation, crc32s)
  }

  #insert(parent: CachedBlock | TreeRoot, made: Reservation, crc32s: Crc32s): CachedRecord {
    const { saveable, hash } = made
    const nowMs = this.#host.now()
    const block = this.#host.index.insert({
      hash,
      parent,
      index: saveable.from / this.#host.blockTokens,
      tokenCount: saveable.tokens.length,
      tokens: saveable.tokens.slice(),
      grid: saveable.grid,
      createdAtMs: nowMs,
      lastUsedAtMs: nowMs,
    })
    const record = newRecord(block, saveable.kind, saveable.sizeBytes, crc32s)
    block.records.push(record)
    return record
  }

  /** Bit-reproducible bytes take the place of those that are only as exact as the batching. */
  #replace(block: CachedBlock, made: Reservation, crc32s: Crc32s): CachedRecord | null {
    const record = block.records.find((candidate) => candidate.kind === made.saveable.kind)
    const isBetter = made.saveable.grid && !block.grid && block.parent.hash === made.parent
    if (record === undefined || !isBetter) return null
    if (record.pins > 0 || record.loading !== null || record.ssd === 'pending') return null
    this.#host.ram.forget(record)
    record.crc32s = crc32s
    block.grid = true
    return record
  }
}

/**
 * How blocks and records leave the cache: evicted, superseded, damaged, or useless without another
 * record that went. Rows take everything of their block along, and all blocks below it; what is
 * exact at a boundary takes only its equals of that boundary, and a tail, which exists for it.
 */
import { hasBoundary } from './boundary-match.ts'
import { isBlockFree, isUnused, mayLeaveRam, mayLeaveSsd } from './evict.ts'
import type { EvictedBlock } from './listener.ts'
import {
  type CachedBlock,
  type CachedRecord,
  isBlock,
  type PrefixIndex,
  type TreeRoot,
} from './prefix-index.ts'
import type { RamStore } from './ram-store.ts'
import type { SsdStore } from './ssd-store.ts'
import type { TierName } from './types.ts'

export interface RemovalHost {
  readonly index: PrefixIndex
  readonly ram: RamStore
  readonly ssd: SsdStore | null
  readonly blockTokens: number
  isPinned(block: CachedBlock): boolean
  /** The block has left the index, or has nothing any more that is exact at its end. */
  onGone(block: CachedBlock): void
  onEvicted(evicted: EvictedBlock): void
}

type Removals = Promise<void>[]

export class Removal {
  readonly #host: RemovalHost
  corruptBlocks = 0
  #isAsked = false

  constructor(host: RemovalHost) {
    this.#host = host
  }

  /**
   * The bytes of this record are wrong, or the engine refused them: it is never offered again, and
   * with rows nothing that stands on them.
   */
  discard(record: CachedRecord): void {
    this.corruptBlocks++
    const { index } = this.#host
    if (record.kind === 'kv') index.damage.setAside(record.block, index.tokensOf(record.block))
    this.#cut(record, record)
  }

  /** The disk refused what this record stands on, and the RAM has no copy of it. */
  unfounded(record: CachedRecord): void {
    this.#cut(record, null)
  }

  /** No tier has this record any more. */
  lost(record: CachedRecord): void {
    const { block } = record
    if (record.kind === 'kv') {
      // Of what the SSD gave away before it was told then.
      if (record.ssd !== 'none' || this.#host.ssd === null) this.#tellOf(block, 'ram')
      this.#takeOut(block, null, [])
    } else this.#dropBoundary(block, null, [])
  }

  /**
   * The SSD had to give its room away. What the RAM still has of it ends with the process; what it
   * has behind rows of which it has none is garbage.
   */
  leftSsd(record: CachedRecord): void {
    const { block, kind, extent } = record
    if (kind === 'kv') this.#tellOf(block, 'ssd')
    if (extent !== null) return
    for (const behind of kind === 'kv' ? [...this.#host.index.subtree(block)] : []) {
      if (behind === block) break
      this.#tellOf(behind, 'ram')
      this.#takeOut(behind, null, [])
    }
    this.lost(record)
  }

  /** What is exact at this block's end, or the whole block where that is all it has. */
  forgetBoundary(block: CachedBlock): void {
    if (block.records.some(({ kind }) => kind === 'kv')) this.#dropBoundary(block, null, [])
    else this.#takeOut(block, null, [])
  }

  /**
   * Removes copies of these blocks: from one tier, or from both. Pass children before parents; a
   * block that is in use, or whose child had to stay, stays. Returns the blocks that lost a copy.
   */
  async evict(blocks: readonly CachedBlock[], tier: TierName | null): Promise<CachedBlock[]> {
    const evicted: CachedBlock[] = []
    const removals: Removals = []
    // What goes until all are taken out goes because of this call.
    this.#isAsked = true
    for (const block of blocks) {
      // Rows last: they may not go before what would be garbage without them.
      const records = [...block.records].sort((a, b) => rank(a) - rank(b))
      let isTouched = false
      for (const record of records) {
        const isThere = block.records.includes(record) && !block.gone
        if (isThere && this.#dropCopies(record, tier, removals)) isTouched = true
      }
      if (isTouched) evicted.push(block)
    }
    this.#isAsked = false
    await Promise.all(removals)
    this.#host.ram.wake()
    return evicted
  }

  /** Could `evict` remove a copy of this block now, its children being gone? */
  isInUse(block: CachedBlock): boolean {
    return !isUnused(block)
  }

  /**
   * Frees a block that is of no use any more: a tail, when a longer, durable sibling begins with
   * it, and one without any bytes when nothing is exact there or behind it.
   */
  reap(block: CachedBlock): void {
    if (block.tokenCount < this.#host.blockTokens) this.#reapTail(block)
    if (!block.gone) this.#takeOutNames(block, [])
  }

  #reapTail(tail: CachedBlock): void {
    const longer = tail.parent.children.continuationOf(tail)
    if (longer !== null) this.reapBefore(longer)
  }

  /** Frees the tails that this block begins with, where it is as durable as they are. */
  reapBefore(block: CachedBlock): void {
    while (!block.gone) {
      const tail = block.parent.children.beginningOf(block)
      if (tail === null || tail.children.size > 0 || this.isInUse(tail)) return
      if (this.#host.isPinned(tail)) return
      // A longer record has the tail's rows, but not what is exact at its end.
      if (hasBoundary(tail)) return
      if (!this.#outlives(block, tail)) return
      this.#takeOut(tail, null, [])
    }
  }

  #dropCopies(record: CachedRecord, tier: TierName | null, removals: Removals): boolean {
    const { ram, ssd } = this.#host
    if (tier === 'ram') {
      if (record.block.leases > 0 || !mayLeaveRam(record)) return false
      ram.drop(record)
      return true
    }
    if (tier === 'ssd') {
      if (!mayLeaveSsd(record) || ssd === null) return false
      removals.push(ssd.forget([record]))
      if (record.extent === null) this.leftSsd(record)
      return true
    }
    if (!isBlockFree(record) || record.block.records.some((it) => it.ssd === 'pending')) {
      return false
    }
    this.#tellOf(record.block, record.ssd === 'stored' ? 'ssd' : 'ram')
    this.#takeOut(record.block, null, removals)
    return true
  }

  /** Before it leaves the index. More room in this tier would have kept it. */
  #tellOf(block: CachedBlock, tier: TierName): void {
    const { ram, ssd } = this.#host
    const room = tier === 'ssd' && ssd !== null ? ssd.tier : ram.arena
    let sizeBytes = 0
    for (const record of block.records) sizeBytes += room.allocatedBytes(record.sizeBytes)
    this.#host.onEvicted({
      hash: block.hash,
      tier,
      cause: this.#isAsked ? 'asked' : 'room',
      tokenCount: block.tokenCount,
      sizeBytes,
      hasBoundary: hasBoundary(block),
    })
  }

  #cut(record: CachedRecord, damaged: CachedRecord | null): void {
    const { block } = record
    if (record.kind === 'kv') this.#takeOutChain(block, damaged)
    else if (!block.gone) this.#dropBoundary(block, damaged, [])
  }

  #takeOutChain(block: CachedBlock, damaged: CachedRecord | null): void {
    const removals: Removals = []
    for (const member of [...this.#host.index.subtree(block)]) {
      this.#takeOut(member, damaged, removals)
    }
  }

  /** Of several kinds each is of no use without the others, and a tail is of none without them. */
  #dropBoundary(block: CachedBlock, damaged: CachedRecord | null, removals: Removals): void {
    const isTail = block.tokenCount < this.#host.blockTokens
    if (isTail && block.children.size === 0) {
      this.#takeOut(block, damaged, removals)
      this.#takeOutNames(block.parent, removals)
      return
    }
    for (const record of block.records.filter((it) => it.kind !== 'kv')) {
      block.records.splice(block.records.indexOf(record), 1)
      this.#forget(record, damaged, removals)
    }
    this.#host.onGone(block)
    this.#takeOutNames(block, removals)
  }

  /**
   * Blocks whose rows have no bytes are there for what is exact behind them only. Without that they
   * would be listed as prefixes of nothing until they are the oldest of their tier.
   */
  #takeOutNames(end: CachedBlock | TreeRoot, removals: Removals): void {
    const isName = ({ kind, sizeBytes }: CachedRecord) => kind === 'kv' && sizeBytes === 0
    let node = end
    while (isBlock(node) && node.children.size === 0 && node.records.every(isName)) {
      if (node.gone || this.isInUse(node)) return
      this.#takeOut(node, null, removals)
      node = node.parent
    }
  }

  /** Out of the index at once; RAM bytes with their last pin, SSD slots with the LMDB commit. */
  #takeOut(block: CachedBlock, damaged: CachedRecord | null, removals: Removals): void {
    this.#host.index.remove(block)
    this.#host.onGone(block)
    for (const record of block.records) this.#forget(record, damaged, removals)
  }

  #forget(record: CachedRecord, damaged: CachedRecord | null, removals: Removals): void {
    const { ram, ssd } = this.#host
    ram.forget(record)
    if (ssd === null) return
    removals.push(record === damaged ? ssd.quarantine(record) : ssd.forget([record]))
  }

  #outlives(block: CachedBlock, tail: CachedBlock): boolean {
    const isInRamOnly = ({ ssd }: CachedRecord) => ssd === 'kept off' || ssd === 'waiting'
    const ramIsEnough = this.#host.ssd === null || tail.records.every(isInRamOnly)
    return block.records.every(
      (record) => record.ssd === 'stored' || (ramIsEnough && record.extent !== null),
    )
  }
}

const rank = (record: CachedRecord): number => (record.kind === 'kv' ? 1 : 0)

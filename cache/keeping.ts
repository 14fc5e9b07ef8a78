/**
 * What eviction by policy leaves although no request runs. A pin keeps a block and all that it
 * stands on, with or without an end; a hint is a lifetime that a client wishes for.
 *
 * What is kept stays in one tier that survives: where the SSD has a record its RAM copy may go.
 * Of each tier a share is kept at most; a pin that does not fit is refused, and hints make room for
 * it. What has ended is found when somebody looks: there are no timers.
 */
import { type CachedBlock, type CachedRecord, isBlock, type PrefixIndex } from './prefix-index.ts'
import { boundariesTo } from './spare.ts'
import type { BlockHash, TierName } from './types.ts'

export interface KeepRequest {
  /** Null: until it is taken back. */
  readonly untilMs: number | null
  /** Is its layout restored to boundaries only? Then the deepest one on its way is kept too. */
  readonly isExact: boolean
}

/** Why a pin was refused: with it more than `mostBytes` of the tier would be pinned. */
export interface PinRefusal {
  readonly tier: TierName
  readonly pinnedBytes: number
  readonly wantedBytes: number
  readonly mostBytes: number
}

export interface KeepingHost {
  readonly index: PrefixIndex
  readonly blockTokens: number
  /** Part of each tier that may be kept. */
  readonly share: number
  /** Hints beyond so many: the ones that end first are forgotten. */
  readonly keptHints: number
  now(): number
  capacityBytes(tier: TierName): number
  /** What a record of this size takes there. */
  allocatedBytes(tier: TierName, sizeBytes: number): number
}

type Purpose = 'pin' | 'hint' | 'ram hint'

/** One of those who keep a block: by a wish for this hash, until then. */
export interface KeepReason {
  readonly purpose: Purpose
  readonly hash: BlockHash
  /** Null: until it is taken back. */
  readonly untilMs: number | null
}

/** A block and, of an exact layout, the deepest boundary on its way; null: it has none. */
export interface Reach {
  /** Null while it is not stored. */
  end: CachedBlock | null
  boundary: CachedBlock | null
}

interface Keep extends KeepRequest, Reach {
  readonly purpose: Purpose
  readonly hash: BlockHash
}

/** What is kept of one block, for whom, and the bytes that it counts in each tier. */
interface Held {
  keeps: number
  pins: number
  /** Those that want a copy in RAM, wherever else one is. */
  inRam: number
  /** Those that need what is exact at its end. */
  exact: number
  readonly bytes: Record<TierName, number>
}

const tierNames = ['ram', 'ssd'] as const
const never = Number.POSITIVE_INFINITY

const keyOf = (purpose: Purpose, hash: BlockHash): string => `${purpose} ${hash}`
const endMsOf = ({ untilMs }: KeepRequest): number => untilMs ?? never
const isLasting = ({ ssd }: CachedRecord): boolean => ssd === 'stored' || ssd === 'pending'

export class Keeping {
  readonly #host: KeepingHost
  readonly #keeps = new Map<string, Keep>()
  readonly #held = new Map<CachedBlock, Held>()
  readonly #bytes: Record<TierName, number> = { ram: 0, ssd: 0 }
  #hintCount = 0
  #nextEndMs = never

  constructor(host: KeepingHost) {
    this.#host = host
  }

  /** May policy not take this copy? */
  isKept(record: CachedRecord, tier: TierName): boolean {
    if (this.#held.size === 0) return false
    this.#dropEnded()
    const held = this.#held.get(record.block)
    if (held === undefined || (record.kind !== 'kv' && held.exact === 0)) return false
    return tier === 'ssd' || held.inRam > 0 || record.ssd !== 'stored'
  }

  isPinned(block: CachedBlock): boolean {
    this.#dropEnded()
    return (this.#held.get(block)?.pins ?? 0) > 0
  }

  /** Bytes of a tier that are kept now. */
  keptBytes(tier: TierName): number {
    this.#dropEnded()
    return this.#bytes[tier]
  }

  /**
   * Keeps a block, all that it stands on, and of an exact layout the boundary that it is restored
   * to. The block may be stored later. Null: it is pinned; replaces a pin of the same block.
   */
  pin(hash: BlockHash, request: KeepRequest): PinRefusal | null {
    this.#dropEnded()
    const before = this.#keeps.get(keyOf('pin', hash))
    if (before !== undefined) this.#drop(before)
    const refused = this.#add({ ...request, purpose: 'pin', hash, end: null, boundary: null })
    if (refused !== null && before !== undefined) this.#add(before)
    return refused
  }

  /** False: it was not pinned. */
  unpin(hash: BlockHash): boolean {
    const pin = this.#keeps.get(keyOf('pin', hash))
    if (pin !== undefined) this.#drop(pin)
    return pin !== undefined
  }

  /** Pins that keep some of these blocks. */
  pinsOf(blocks: ReadonlySet<CachedBlock>): BlockHash[] {
    this.#dropEnded()
    const pins = [...this.#keeps.values()].filter(({ purpose }) => purpose === 'pin')
    const keepsSome = (pin: Keep) => [...membersOf(pin)].some((block) => blocks.has(block))
    return pins.filter(keepsSome).map(({ hash }) => hash)
  }

  /** Until when pins keep each block; null: until they are taken back. O(blocks that they keep). */
  pinnedUntil(): ReadonlyMap<CachedBlock, number | null> {
    this.#dropEnded()
    const until = new Map<CachedBlock, number | null>()
    for (const keep of this.#keeps.values()) {
      if (keep.purpose !== 'pin') continue
      for (const block of membersOf(keep)) {
        const other = until.get(block)
        const isLonger = other === undefined || (other !== null && endMsOf(keep) > other)
        if (isLonger) until.set(block, keep.untilMs)
      }
    }
    return until
  }

  /** What is kept of a tier, and what may be at most. */
  room(tier: TierName): { readonly keptBytes: number; readonly mostBytes: number } {
    return { keptBytes: this.keptBytes(tier), mostBytes: this.#mostBytes(tier) }
  }

  /** All that keeps this block, the longest first. O(blocks that are kept). */
  reasonsFor(block: CachedBlock): KeepReason[] {
    this.#dropEnded()
    const keeps = [...this.#keeps.values()].filter((keep) => {
      for (const member of membersOf(keep)) if (member === block) return true
      return false
    })
    return keeps
      .sort((a, b) => endMsOf(b) - endMsOf(a))
      .map(({ purpose, hash, untilMs }) => ({ purpose, hash, untilMs }))
  }

  /** Until when its copies in RAM are kept; null: they are not. */
  inRamUntil(hash: BlockHash): number | null {
    this.#dropEnded()
    return this.#keeps.get(keyOf('ram hint', hash))?.untilMs ?? null
  }

  /** The block that a pin keeps; null: it is not stored now. */
  pinned(hash: BlockHash): CachedBlock | null {
    return this.#keeps.get(keyOf('pin', hash))?.end ?? null
  }

  /**
   * As a pin, but given up where there is no room for it. The longer of two wishes holds. With
   * `inRam` the copies in RAM are kept as well.
   */
  hint(hash: BlockHash, request: KeepRequest, inRam = false): void {
    this.#dropEnded()
    const purpose = inRam ? 'ram hint' : 'hint'
    const before = this.#keeps.get(keyOf(purpose, hash))
    if (before !== undefined && endMsOf(before) >= endMsOf(request)) return
    if (before !== undefined) this.#drop(before)
    this.#add({ ...request, purpose, hash, end: null, boundary: null })
    if (this.#hintCount > this.#host.keptHints) this.#dropFirstHint()
  }

  /** Nobody wishes for it any more. Pins stay. */
  dropHints(hash: BlockHash): void {
    for (const purpose of ['hint', 'ram hint'] as const) {
      const hint = this.#keeps.get(keyOf(purpose, hash))
      if (hint !== undefined) this.#drop(hint)
    }
  }

  /** The tiers may have become smaller: wishes beyond their share end, and pins stay. */
  giveUpWishes(): void {
    this.#makeRoom()
  }

  /** A record of this block was stored: a pin may have waited for it. */
  onSaved(block: CachedBlock): void {
    const pin = this.#keeps.get(keyOf('pin', block.hash))
    if (pin !== undefined) this.#attachAgain(pin)
    this.onMoved(block)
  }

  /** A record of this block has come to a tier, or was refused there. */
  onMoved(block: CachedBlock): void {
    const held = this.#held.get(block)
    if (held === undefined) return
    this.#count(block, held)
    if (this.#makeRoom() !== null) this.#letPinsWait(block)
  }

  /** The block, or what was exact at its end, is no longer stored. A pin waits for its return. */
  onGone(block: CachedBlock): void {
    if (!this.#held.has(block)) return
    for (const keep of [...this.#keeps.values()]) {
      if (keep.end !== block && keep.boundary !== block) continue
      if (keep.purpose !== 'pin' && keep.end?.gone) this.#drop(keep)
      else this.#attachAgain(keep)
    }
  }

  #add(keep: Keep): PinRefusal | null {
    this.#keeps.set(keyOf(keep.purpose, keep.hash), keep)
    if (keep.purpose !== 'pin') this.#hintCount++
    this.#nextEndMs = Math.min(this.#nextEndMs, endMsOf(keep))
    this.#attach(keep)
    const tier = this.#makeRoom()
    if (tier === null) return null
    const bothBytes = this.#bytes[tier]
    this.#drop(keep)
    const pinnedBytes = this.#bytes[tier]
    const wantedBytes = bothBytes - pinnedBytes
    return { tier, pinnedBytes, wantedBytes, mostBytes: this.#mostBytes(tier) }
  }

  #drop(keep: Keep): void {
    if (!this.#keeps.delete(keyOf(keep.purpose, keep.hash))) return
    if (keep.purpose !== 'pin') this.#hintCount--
    this.#detach(keep)
  }

  #dropEnded(): void {
    const nowMs = this.#nextEndMs === never ? 0 : this.#host.now()
    if (nowMs < this.#nextEndMs) return
    this.#nextEndMs = never
    for (const keep of [...this.#keeps.values()]) {
      const endMs = endMsOf(keep)
      if (endMs <= nowMs) this.#drop(keep)
      else this.#nextEndMs = Math.min(this.#nextEndMs, endMs)
    }
  }

  #dropFirstHint(): boolean {
    let first: Keep | null = null
    for (const keep of this.#keeps.values()) {
      if (keep.purpose === 'pin') continue
      if (first === null || endMsOf(keep) < endMsOf(first)) first = keep
    }
    if (first !== null) this.#drop(first)
    return first !== null
  }

  /** Gives up hints until the rest fits. The tier of which too much is pinned; null: of none. */
  #makeRoom(): TierName | null {
    for (;;) {
      const full = tierNames.find((tier) => this.#bytes[tier] > this.#mostBytes(tier))
      if (full === undefined) return null
      if (!this.#dropFirstHint()) return full
    }
  }

  /** What a pin waited for may have become too much: the latest ones go on waiting. */
  #letPinsWait(block: CachedBlock): void {
    for (const keep of [...this.#keeps.values()].reverse()) {
      if (keep.purpose !== 'pin' || ![...membersOf(keep)].includes(block)) continue
      this.#detach(keep)
      if (this.#makeRoom() === null) return
    }
  }

  #mostBytes(tier: TierName): number {
    return this.#host.capacityBytes(tier) * this.#host.share
  }

  #attachAgain(keep: Keep): void {
    this.#detach(keep)
    this.#attach(keep)
  }

  #attach(keep: Keep): void {
    const { index, blockTokens } = this.#host
    Object.assign(keep, reachOf(index.get(keep.hash) ?? null, keep.isExact, blockTokens))
    for (const block of membersOf(keep)) this.#hold(block, keep, 1)
  }

  #detach(keep: Keep): void {
    for (const block of membersOf(keep)) this.#hold(block, keep, -1)
    keep.end = null
    keep.boundary = null
  }

  #hold(block: CachedBlock, keep: Keep, step: 1 | -1): void {
    const held = this.#held.get(block) ?? {
      ...{ keeps: 0, pins: 0, inRam: 0, exact: 0 },
      bytes: { ram: 0, ssd: 0 },
    }
    this.#held.set(block, held)
    held.keeps += step
    if (keep.purpose === 'pin') held.pins += step
    if (keep.purpose === 'ram hint') held.inRam += step
    if (keep.boundary === block) held.exact += step
    // What others keep as well counts already.
    const isCounted = held.keeps > 1 && keep.purpose !== 'ram hint' && keep.boundary !== block
    if (!isCounted) this.#count(block, held)
    if (held.keeps === 0) this.#held.delete(block)
  }

  #count({ records }: CachedBlock, held: Held): void {
    const bytes = { ram: 0, ssd: 0 }
    for (const record of held.keeps === 0 ? [] : records) {
      if (record.kind !== 'kv' && held.exact === 0) continue
      const inRam = held.inRam > 0 || !isLasting(record)
      if (inRam) bytes.ram += this.#host.allocatedBytes('ram', record.sizeBytes)
      if (isLasting(record)) bytes.ssd += this.#host.allocatedBytes('ssd', record.sizeBytes)
    }
    for (const tier of tierNames) {
      this.#bytes[tier] += bytes[tier] - held.bytes[tier]
      held.bytes[tier] = bytes[tier]
    }
  }
}

export function reachOf(end: CachedBlock | null, isExact: boolean, blockTokens: number): Reach {
  const places = end === null || !isExact ? [] : boundariesTo(end, blockTokens)
  return { end, boundary: places.at(-1)?.block ?? null }
}

/**
 * The end and all that it stands on, children first, and last the boundary where that stands beside
 * the chain.
 */
export function* membersOf({ end, boundary }: Reach): Generator<CachedBlock> {
  let isOnChain = boundary === null
  for (let node = end; node !== null; node = isBlock(node.parent) ? node.parent : null) {
    yield node
    isOnChain ||= node === boundary
  }
  if (!isOnChain && boundary !== null) yield boundary
}

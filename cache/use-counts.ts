/**
 * How often blocks were used, also those that have gone since: a block that was evicted and comes
 * back is no stranger. A table of fixed size, in which what was not used for long makes room for
 * others: sets of eight, each in order of use. Five bytes a block, no objects for the collector.
 */

const setSize = 8
const countMax = 255
/** As many blocks are remembered for each one that is stored. */
const rememberedShare = 4

export class UseCounts {
  readonly #keys: Uint32Array
  /** 0: nothing stands there. */
  readonly #counts: Uint8Array
  readonly #setMask: number

  /** `blocks`: about how many are stored at a time. 20 to 40 bytes each are taken at once. */
  constructor(blocks: number) {
    const sets = 2 ** Math.ceil(Math.log2(Math.max(1, (blocks * rememberedShare) / setSize)))
    this.#setMask = sets - 1
    this.#keys = new Uint32Array(sets * setSize)
    this.#counts = new Uint8Array(sets * setSize)
  }

  /** Uses of the block with this key so far. O(1). */
  of(key: number): number {
    const wanted = key >>> 0
    const first = (spread(wanted) & this.#setMask) * setSize
    for (let at = first; at < first + setSize; at++) {
      if (this.#keys[at] === wanted) return this.#counts[at] as number
    }
    return 0
  }

  /**
   * Counts one more use of the block with this key, 32 bits that are all its own; returns its uses
   * with this one, 255 at most. O(1).
   */
  add(key: number): number {
    const wanted = key >>> 0
    const first = (spread(wanted) & this.#setMask) * setSize
    let at = first
    const last = first + setSize - 1
    while (at < last && this.#keys[at] !== wanted) at++
    const isKnown = this.#keys[at] === wanted
    const count = Math.min(countMax, (isKnown ? (this.#counts[at] as number) : 0) + 1)
    // To the front of its set: whoever stands at the end has not been used for longest.
    this.#keys.copyWithin(first + 1, first, at)
    this.#counts.copyWithin(first + 1, first, at)
    this.#keys[first] = wanted
    this.#counts[first] = count
    return count
  }
}

/** Keys may be consecutive numbers; sets are chosen by bits that all of the key has a part in. */
function spread(key: number): number {
  const mixed = Math.imul(key ^ (key >>> 16), 0x85ebca6b)
  return mixed ^ (mixed >>> 13)
}

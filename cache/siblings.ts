/**
 * The children of one block, kept so that the one which shares the longest beginning with given
 * tokens is found in O(log children) comparisons.
 *
 * Sorted as token sequences (a shorter one before those that it begins), the best match is always a
 * neighbour of the place where the tokens themselves would stand.
 */
import type { TokenIds } from './types.ts'

/** Number of equal tokens at the beginning of both. */
export function sharedBeginning(a: TokenIds, b: TokenIds): number {
  const length = Math.min(a.length, b.length)
  let shared = 0
  while (shared < length && a[shared] === b[shared]) shared++
  return shared
}

function compareTokens(a: TokenIds, b: TokenIds): number {
  const shared = sharedBeginning(a, b)
  if (shared === a.length || shared === b.length) return a.length - b.length
  return (a[shared] as number) - (b[shared] as number)
}

export interface SiblingMatch<Item> {
  readonly item: Item
  readonly sharedTokens: number
}

/** `tokensOf` may be expensive the first time (it reads LMDB), so sorting waits for a search. */
export class Siblings<Item> {
  readonly #tokensOf: (item: Item) => TokenIds
  #items: Item[] = []
  #sortedCount = 0

  constructor(tokensOf: (item: Item) => TokenIds) {
    this.#tokensOf = tokensOf
  }

  get size(): number {
    return this.#items.length
  }

  /** The one item that there is; null: there is none, or there are several. */
  get only(): Item | null {
    return this.#items.length === 1 ? (this.#items[0] as Item) : null
  }

  [Symbol.iterator](): Iterator<Item> {
    return this.#items[Symbol.iterator]()
  }

  /** Keeps the order: O(log n) comparisons. */
  add(item: Item): void {
    this.#sort()
    if (this.#items.length === 0) this.#items = [item]
    else this.#items.splice(this.#placeOf(this.#tokensOf(item)), 0, item)
    this.#sortedCount++
  }

  /** Without looking at any tokens, for opening a store; the next search sorts. */
  addUnsorted(item: Item): void {
    // Most blocks have one child: an array that is written so has no room for others.
    if (this.#items.length === 0) this.#items = [item]
    else this.#items.push(item)
  }

  delete(item: Item): void {
    const isSorted = this.#sortedCount === this.#items.length
    const at = isSorted ? this.#indexOf(item) : this.#items.indexOf(item)
    if (at < 0) return
    this.#items.splice(at, 1)
    if (at < this.#sortedCount) this.#sortedCount--
  }

  /**
   * The item whose tokens share the longest beginning with `tokens`, or null when none shares
   * any.
   */
  longest(tokens: TokenIds): SiblingMatch<Item> | null {
    this.#sort()
    const at = this.#placeOf(tokens)
    let best: SiblingMatch<Item> | null = null
    // The later neighbour first: of two equal matches the longer record covers the shorter one.
    for (const item of [this.#items[at], this.#items[at - 1]]) {
      if (item === undefined) continue
      const sharedTokens = sharedBeginning(this.#tokensOf(item), tokens)
      if (sharedTokens > (best?.sharedTokens ?? 0)) best = { item, sharedTokens }
    }
    return best
  }

  /** The items that `tokens` begin with, the longest first. */
  *beginningsOf(tokens: TokenIds): Generator<Item> {
    this.#sort()
    let wanted = tokens
    while (wanted.length > 0) {
      // Whatever lies between a beginning of `wanted` and `wanted` in order begins with it too.
      const at = this.#placeOf(wanted)
      const isNext = (item: Item) => compareTokens(this.#tokensOf(item), wanted) === 0
      const equal = this.#items[at]
      const item = equal !== undefined && isNext(equal) ? equal : this.#items[at - 1]
      if (item === undefined) return
      const own = this.#tokensOf(item)
      const shared = sharedBeginning(own, wanted)
      const isBeginning = shared === own.length
      if (shared === 0) return
      if (isBeginning) yield item
      wanted = wanted.subarray(0, isBeginning ? shared - 1 : shared)
    }
  }

  /** The items that this one begins with, itself first. */
  waysTo(item: Item): Generator<Item> {
    return this.beginningsOf(this.#tokensOf(item))
  }

  /** The items that begin with this one, without itself. */
  *continuationsOf(item: Item): Generator<Item> {
    for (let at = this.#indexOf(item) + 1; at < this.#items.length; at++) {
      const after = this.#items[at] as Item
      if (!this.#begins(after, item)) return
      yield after
    }
  }

  /** The item before this one in order, if this one's tokens begin with all of its tokens. */
  beginningOf(item: Item): Item | null {
    const before = this.#items[this.#indexOf(item) - 1]
    return before !== undefined && this.#begins(item, before) ? before : null
  }

  /** An item whose tokens begin with all of this one's tokens: this one is superseded by it. */
  continuationOf(item: Item): Item | null {
    const after = this.#items[this.#indexOf(item) + 1]
    return after !== undefined && this.#begins(after, item) ? after : null
  }

  #begins(longer: Item, shorter: Item): boolean {
    const tokens = this.#tokensOf(shorter)
    return sharedBeginning(tokens, this.#tokensOf(longer)) === tokens.length
  }

  #indexOf(item: Item): number {
    this.#sort()
    const at = this.#placeOf(this.#tokensOf(item))
    // Ids that could not be read compare equal to each other; look at each item then.
    return this.#items[at] === item ? at : this.#items.indexOf(item)
  }

  /** First index whose tokens are not less than `tokens`. */
  #placeOf(tokens: TokenIds): number {
    let low = 0
    let high = this.#items.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compareTokens(this.#tokensOf(this.#items[middle] as Item), tokens) < 0) low = middle + 1
      else high = middle
    }
    return low
  }

  #sort(): void {
    if (this.#sortedCount === this.#items.length) return
    if (this.#items.length > 1)
      this.#items.sort((a, b) => compareTokens(this.#tokensOf(a), this.#tokensOf(b)))
    this.#sortedCount = this.#items.length
  }
}

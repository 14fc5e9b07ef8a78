/**
 * An intrusive list of records of one tier, from the least to the most recently used.
 *
 * A prefix is touched from its last block to its first. A child is therefore always older than its
 * parent, so that whoever evicts from the old end evicts leaves first.
 */

export interface Links<Item extends object> {
  older: Item | null
  newer: Item | null
  /** Where it stands; null: nowhere. */
  list: RecencyList<Item> | null
}

export function unlisted<Item extends object>(): Links<Item> {
  return { older: null, newer: null, list: null }
}

export class RecencyList<Item extends object> {
  readonly #linksOf: (item: Item) => Links<Item>
  #oldest: Item | null = null
  #newest: Item | null = null
  #count = 0

  constructor(linksOf: (item: Item) => Links<Item>) {
    this.#linksOf = linksOf
  }

  get count(): number {
    return this.#count
  }

  /** Puts an item at the new end, wherever it stood before. O(1). */
  touch(item: Item): void {
    this.remove(item)
    const links = this.#linksOf(item)
    links.older = this.#newest
    links.list = this
    if (this.#newest === null) this.#oldest = item
    else this.#linksOf(this.#newest).newer = item
    this.#newest = item
    this.#count++
  }

  /** Puts an item at the old end, wherever it stood before. O(1). */
  putOldest(item: Item): void {
    this.remove(item)
    const links = this.#linksOf(item)
    links.newer = this.#oldest
    links.list = this
    if (this.#oldest === null) this.#newest = item
    else this.#linksOf(this.#oldest).older = item
    this.#oldest = item
    this.#count++
  }

  remove(item: Item): void {
    const links = this.#linksOf(item)
    if (links.list !== this) return
    if (links.older === null) this.#oldest = links.newer
    else this.#linksOf(links.older).newer = links.newer
    if (links.newer === null) this.#newest = links.older
    else this.#linksOf(links.newer).older = links.older
    links.older = null
    links.newer = null
    links.list = null
    this.#count--
  }

  /** Those of all items that are wanted, from the newest to the oldest. */
  newestOf(isWanted: (item: Item) => boolean): Item[] {
    const wanted: Item[] = []
    for (let item = this.#newest; item !== null; item = this.#linksOf(item).older) {
      if (isWanted(item)) wanted.push(item)
    }
    return wanted
  }

  /** From the oldest to the newest. The item at hand may be removed while iterating. */
  *[Symbol.iterator](): Generator<Item> {
    let item = this.#oldest
    while (item !== null) {
      const next: Item | null = this.#linksOf(item).newer
      yield item
      item = next
    }
  }
}

/**
 * Items in the order in which they should go: a list by last use for each keep class, and of the
 * classes' oldest items the one that has been idle longest for its weight comes first.
 *
 * Within a class the order of use decides, so an item is put in place in O(1), and the next one to
 * go is found in O(classes), which are few. A parent is at least as recent as its children; whoever
 * also gives it no lower class gets leaves first.
 */
import { type Links, RecencyList } from './recency.ts'
import { keepClassCount } from './retention.ts'

export interface RetentionOptions<Item extends object> {
  readonly linksOf: (item: Item) => Links<Item>
  /** 0 to `keepClassCount` - 1; asked when an item is put in its place. One for all: LRU. */
  readonly keepClassOf: (item: Item) => number
  readonly lastUsedAtMsOf: (item: Item) => number
  /** How much longer than others items of this class may lie idle. */
  readonly weightOf: (keepClass: number) => number
  readonly now: () => number
}

interface Head<Item> {
  readonly rest: Iterator<Item>
  readonly weight: number
  item: Item | null
}

export class RetentionOrder<Item extends object> {
  readonly #options: RetentionOptions<Item>
  readonly #lists: RecencyList<Item>[]

  constructor(options: RetentionOptions<Item>) {
    this.#options = options
    const { linksOf } = options
    this.#lists = Array.from({ length: keepClassCount }, () => new RecencyList(linksOf))
  }

  get count(): number {
    return this.#lists.reduce((sum, { count }) => sum + count, 0)
  }

  /** Those of each class, from the least to the most recently used; classes of none left out. */
  get lists(): readonly RecencyList<Item>[] {
    return this.#lists.filter(({ count }) => count > 0)
  }

  /** Puts an item at the recent end of its class, wherever it stood before. O(1). */
  touch(item: Item): void {
    this.#options.linksOf(item).list?.remove(item)
    this.#lists[this.#options.keepClassOf(item)]?.touch(item)
  }

  /** Puts an item at the old end of its class, wherever it stood before. O(1). */
  putOldest(item: Item): void {
    this.#options.linksOf(item).list?.remove(item)
    this.#lists[this.#options.keepClassOf(item)]?.putOldest(item)
  }

  /** How long an item has been idle, for its weight: who is the longest goes first. */
  idleMs(item: Item): number {
    const { keepClassOf, weightOf, now } = this.#options
    return this.#idleMs(item, now(), weightOf(keepClassOf(item)))
  }

  /** From the least to the most worth keeping. The item at hand may be removed meanwhile. */
  *[Symbol.iterator](): Generator<Item> {
    const nowMs = this.#options.now()
    const heads: Head<Item>[] = []
    for (const [keepClass, list] of this.#lists.entries()) {
      if (list.count === 0) continue
      const rest = list[Symbol.iterator]()
      heads.push({
        rest,
        weight: this.#options.weightOf(keepClass),
        item: rest.next().value ?? null,
      })
    }
    for (;;) {
      let worst: Head<Item> | null = null
      let longestMs = 0
      for (const head of heads) {
        if (head.item === null) continue
        const idleMs = this.#idleMs(head.item, nowMs, head.weight)
        if (idleMs <= longestMs) continue
        longestMs = idleMs
        worst = head
      }
      if (worst === null) return
      yield worst.item as Item
      worst.item = worst.rest.next().value ?? null
    }
  }

  /** One more, so that of items that were used just now the lighter one goes. */
  #idleMs(item: Item, nowMs: number, weight: number): number {
    return (Math.max(0, nowMs - this.#options.lastUsedAtMsOf(item)) + 1) / weight
  }
}

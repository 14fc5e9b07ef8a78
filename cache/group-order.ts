/**
 * The records of single groups, in the order of going. The order of a tier has those of everybody,
 * and walking past all of the others for every victim takes milliseconds: so one walk remembers
 * what it meets of the group. It goes list by list, since putting others in their order would take
 * most of its time. Who was used since then is left out, until the next walk meets it.
 */
import { idler } from './evict.ts'
import type { CachedRecord } from './prefix-index.ts'
import type { RecordOrder } from './record-order.ts'
import type { Group } from './shares.ts'

/** Of each list the next one to go stands last. */
interface Met {
  /** By what they are worth. */
  readonly rows: readonly CachedRecord[][]
  readonly boundaries: CachedRecord[]
  readonly atMs: number
}

export interface GroupOrderOptions {
  readonly order: RecordOrder
  readonly now: () => number
}

export class GroupOrder {
  readonly #options: GroupOrderOptions
  readonly #met = new Map<string, Met>()

  constructor(options: GroupOrderOptions) {
    this.#options = options
  }

  /** Null: none may go that no running request will still want. */
  victim(
    group: Group,
    boundariesYield: boolean,
    mayGo: (record: CachedRecord) => boolean,
  ): CachedRecord | null {
    const known = this.#met.get(group.name)
    const next = known === undefined ? null : this.#next(known, boundariesYield, mayGo)
    if (next !== null) return next
    const met = this.#walk(group)
    this.#met.set(group.name, met)
    const first = this.#next(met, boundariesYield, mayGo)
    if (first === null) this.#met.delete(group.name)
    return first
  }

  #walk({ has }: Group): Met {
    const { order, now } = this.#options
    const isOwn = ({ block }: CachedRecord) => has(block.namespace)
    const rows = order.rows.lists.map((list) => list.newestOf(isOwn))
    const boundaries = [...order.boundaries.newestOf(isOwn), ...order.spare.newestOf(isOwn)]
    return { rows: rows.filter(({ length }) => length > 0), boundaries, atMs: now() }
  }

  #next(
    { rows, boundaries, atMs }: Met,
    boundariesYield: boolean,
    mayGo: (record: CachedRecord) => boolean,
  ): CachedRecord | null {
    const isIdle = ({ block }: CachedRecord) => block.lastUsedAtMs <= atMs
    const isLeft = (record: CachedRecord) =>
      isIdle(record) && record.block.leases === 0 && mayGo(record)
    const boundary = lastOf(boundaries, isLeft)
    const list = boundary !== null && boundariesYield ? null : this.#idlest(rows, isIdle, isLeft)
    const row = list?.at(-1) ?? null
    const chosen = idler(this.#options.order, boundary, row)
    if (chosen !== null) (chosen === row ? list : boundaries)?.pop()
    return chosen
  }

  /**
   * The list that ends with who goes first of all. Only in their turn are they asked whether they
   * may: a block that others stand on may when these have gone.
   */
  #idlest(
    lists: readonly CachedRecord[][],
    isIdle: (record: CachedRecord) => boolean,
    isLeft: (record: CachedRecord) => boolean,
  ): CachedRecord[] | null {
    for (;;) {
      let idlest: CachedRecord[] | null = null
      let longestMs = 0
      for (const list of lists) {
        const next = lastOf(list, isIdle)
        const idleMs = next === null ? 0 : this.#options.order.idleMs(next)
        if (idleMs <= longestMs) continue
        longestMs = idleMs
        idlest = list
      }
      const next = idlest?.at(-1)
      if (next === undefined || isLeft(next)) return idlest
      idlest?.pop()
    }
  }
}

/** Drops those that are not. */
function lastOf(
  records: CachedRecord[],
  isLeft: (record: CachedRecord) => boolean,
): CachedRecord | null {
  for (let last = records.at(-1); last !== undefined; last = records.at(-1)) {
    if (isLeft(last)) return last
    records.pop()
  }
  return null
}

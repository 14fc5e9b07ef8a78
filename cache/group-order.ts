/**
 * The records of single groups, in the order of going. The order of a tier has those of everybody,
 * and walking past all of the others for every victim takes milliseconds: so one walk remembers
 * what it meets of the group. Who was used since then is left out, until the next walk meets it.
 */
import { idler } from './evict.ts'
import type { CachedRecord } from './prefix-index.ts'
import type { RecordOrder } from './record-order.ts'
import type { Group } from './shares.ts'

/** The next one to go stands last. */
interface Met {
  readonly rows: CachedRecord[]
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
    const boundaries = [...order.spare, ...order.boundaries].filter(isOwn).reverse()
    return { rows: [...order.rows].filter(isOwn).reverse(), boundaries, atMs: now() }
  }

  #next(
    { rows, boundaries, atMs }: Met,
    boundariesYield: boolean,
    mayGo: (record: CachedRecord) => boolean,
  ): CachedRecord | null {
    const isLeft = (record: CachedRecord) =>
      record.block.lastUsedAtMs <= atMs && record.block.leases === 0 && mayGo(record)
    const boundary = lastOf(boundaries, isLeft)
    const row = boundary !== null && boundariesYield ? null : lastOf(rows, isLeft)
    const chosen = idler(this.#options.order, boundary, row)
    if (chosen !== null) (chosen === row ? rows : boundaries).pop()
    return chosen
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

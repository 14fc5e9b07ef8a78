/**
 * Which slots of the slab are taken. Pure arithmetic. Lowest first, so that the file stays dense at
 * its beginning; adjacent where possible, so that a record is one read and one write.
 */

/** Slots [first, first + count). */
export interface SlotRun {
  readonly first: number
  readonly count: number
}

export interface SlotMap {
  /** Slots that exist now. */
  readonly size: number
  readonly used: number
  readonly free: number
  /** Adds slots at the end, free, up to the capacity. */
  grow(count: number): void
  /** Takes exactly these, or none and false when one is taken or does not exist. */
  claim(runs: readonly SlotRun[]): boolean
  /** Prefers slots from `from` on; null when fewer than `count` are free. */
  allocate(count: number, from: number): readonly SlotRun[] | null
  /** Throws for a slot that is not taken: its owner has lost count. */
  release(runs: readonly SlotRun[]): void
  /** Every run of taken slots, rising. */
  taken(): Iterable<SlotRun>
}

/** Of the slots of a record, `count` from number `from` on, or as many as there are. */
export function partOf(runs: readonly SlotRun[], from: number, count: number): SlotRun[] {
  const part: SlotRun[] = []
  let at = 0
  for (const run of runs) {
    const begin = Math.max(from, at)
    const end = Math.min(from + count, at + run.count)
    if (begin < end) part.push({ first: run.first + begin - at, count: end - begin })
    at += run.count
  }
  return part
}

const free = 0
const taken = 1
/** A record is cut in pieces rather than searching a badly fragmented slab for longer. */
const runsInspectedMax = 4096

export function createSlotMap(capacity: number): SlotMap {
  // One byte per slot costs 1 MiB per TiB of slab, and indexOf over bytes is native code.
  const states = new Uint8Array(capacity).fill(taken)
  let size = 0
  let used = 0

  function set(run: SlotRun, state: number): void {
    states.fill(state, run.first, run.first + run.count)
    used += state === taken ? run.count : -run.count
  }

  /** The first free run at or after `from`, cut to `countMax`. */
  function nextFree(from: number, countMax: number): SlotRun | null {
    const first = states.indexOf(free, from)
    if (first === -1) return null
    const end = states.indexOf(taken, first)
    return { first, count: Math.min((end === -1 ? size : end) - first, countMax) }
  }

  function findAdjacent(count: number, from: number): SlotRun | null {
    let run = nextFree(from, count)
    for (let i = 0; run !== null && i < runsInspectedMax; i++) {
      if (run.count === count) return run
      run = nextFree(run.first + run.count, count)
    }
    return null
  }

  function collect(count: number, from: number): SlotRun[] {
    const runs: SlotRun[] = []
    let missing = count
    let run = nextFree(from, missing)
    while (run !== null && missing > 0) {
      runs.push(run)
      missing -= run.count
      run = nextFree(run.first + run.count, missing)
    }
    return missing === 0 ? runs : []
  }

  function find(count: number, from: number): readonly SlotRun[] {
    const adjacent = findAdjacent(count, from)
    return adjacent === null ? collect(count, from) : [adjacent]
  }

  function all(run: SlotRun, state: number): boolean {
    const { first, count } = run
    if (first < 0 || count < 1 || first + count > size) return false
    for (let slot = first; slot < first + count; slot++) if (states[slot] !== state) return false
    return true
  }

  return {
    get size() {
      return size
    },
    get used() {
      return used
    },
    get free() {
      return size - used
    },
    grow(count) {
      if (size + count > capacity) throw new RangeError(`there are only ${capacity} slots`)
      states.fill(free, size, size + count)
      size += count
    },
    claim(runs) {
      const claimed: SlotRun[] = []
      for (const run of runs) {
        if (!all(run, free)) {
          for (const undone of claimed) set(undone, free)
          return false
        }
        set(run, taken)
        claimed.push(run)
      }
      return true
    },
    allocate(count, from) {
      if (!Number.isInteger(count) || count < 1) {
        throw new RangeError(`count is ${count}; a record takes at least one slot`)
      }
      if (size - used < count) return null
      let runs = find(count, from)
      if (runs.length === 0 && from > 0) runs = find(count, 0)
      for (const run of runs) set(run, taken)
      return runs.length === 0 ? null : runs
    },
    release(runs) {
      for (const run of runs) {
        if (!all(run, taken)) throw new RangeError(`slot ${run.first} is not taken`)
        set(run, free)
      }
    },
    *taken() {
      for (let first = states.indexOf(taken); first >= 0 && first < size; ) {
        const end = states.indexOf(free, first)
        const last = end < 0 ? size : Math.min(end, size)
        yield { first, count: last - first }
        first = states.indexOf(taken, last)
      }
    },
  }
}

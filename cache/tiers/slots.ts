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
  /** Slots that exist now; more than the capacity only where that has become smaller. */
  readonly size: number
  readonly used: number
  /** Those that `allocate` could give. */
  readonly free: number
  /** Adds slots at the end, free, up to the capacity. */
  grow(count: number): void
  /** From now on nothing behind it is given; what is taken there stays until it is released. */
  limit(capacity: number): void
  /** Is one of these behind the capacity? */
  isBehind(runs: readonly SlotRun[]): boolean
  /** How many slots there would be without the free ones behind the capacity, at the end. */
  readonly neededSize: number
  /** Removes slots at the end. Throws where one of them is taken. */
  cut(size: number): void
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

export function createSlotMap(firstCapacity: number): SlotMap {
  let capacity = firstCapacity
  // One byte per slot costs 1 MiB per TiB of slab, and indexOf over bytes is native code.
  let states = new Uint8Array(capacity).fill(taken)
  let size = 0
  let used = 0
  /** Of the used ones: those behind the capacity. */
  let usedBehind = 0

  const countBehind = ({ first, count }: SlotRun): number =>
    Math.max(0, first + count - Math.max(first, capacity))

  function set(run: SlotRun, state: number): void {
    states.fill(state, run.first, run.first + run.count)
    const sign = state === taken ? 1 : -1
    used += sign * run.count
    usedBehind += sign * countBehind(run)
  }

  const freeCount = (): number => Math.min(size, capacity) - (used - usedBehind)

  /** The first free run at or after `from`, cut to `countMax`. */
  function nextFree(from: number, countMax: number): SlotRun | null {
    const end = Math.min(size, capacity)
    const first = states.indexOf(free, from)
    if (first === -1 || first >= end) return null
    const nextTaken = states.indexOf(taken, first)
    const runEnd = nextTaken === -1 ? end : Math.min(nextTaken, end)
    return { first, count: Math.min(runEnd - first, countMax) }
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
      return freeCount()
    },
    get neededSize() {
      const last = size === 0 ? -1 : states.lastIndexOf(taken, size - 1)
      return Math.max(last + 1, Math.min(size, capacity))
    },
    grow(count) {
      if (count > Math.max(0, capacity - size)) {
        throw new RangeError(`there are only ${capacity} slots`)
      }
      states.fill(free, size, size + count)
      size += count
    },
    limit(newCapacity) {
      const before = states
      states = new Uint8Array(Math.max(newCapacity, size)).fill(taken)
      states.set(before.subarray(0, size))
      capacity = newCapacity
      usedBehind = 0
      for (let slot = capacity; slot < size; slot++) if (states[slot] === taken) usedBehind++
    },
    isBehind: (runs) => runs.some((run) => countBehind(run) > 0),
    cut(newSize) {
      const leaving = { first: newSize, count: size - newSize }
      if (!all(leaving, free)) throw new RangeError(`a slot behind ${newSize} is taken`)
      states.fill(taken, newSize, size)
      size = newSize
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
      if (freeCount() < count) return null
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

/**
 * Who owns which granules of a range. Pure arithmetic: no memory, no time.
 *
 * The range may end earlier than it did: what is owned behind its end stays until it is freed, and
 * is nobody's then.
 *
 * Best fit, lowest start among equals; neighbours that are free are always one run. Free runs are
 * kept as one sorted array of numbers, size in the high digits and start in the low ones, so that
 * best fit is a binary search.
 */

/** Granules [start, start + count). The generation is never given twice. */
export interface Run {
  readonly start: number
  readonly count: number
  readonly generation: number
}

export interface Extents {
  readonly used: number
  /** Granules that are owned although the range ends before them. */
  readonly behindEnd: number
  /** Ends the range here from now on: earlier, or as far as it reached at first. O(owned runs). */
  endAt(end: number): void
  /** Is some of this run behind the range's end? */
  isBehindEnd(run: Pick<Run, 'start' | 'generation'>): boolean
  /** What nobody owns behind the end, rising, as [start, end). */
  gapsBehindEnd(): readonly (readonly [start: number, end: number])[]
  /** Longest request that `allocate` could serve now. */
  readonly largestFree: number
  /** Null when no free run is long enough. O(log n) and one move within an array. */
  allocate(count: number): Run | null
  /** A generation that no run has or will have. */
  name(): number
  /** Throws for a run that is not, or no longer, allocated: its owner has lost count. */
  free(run: Pick<Run, 'start' | 'generation'>): void
  /** False once the run was freed, even if its granules were given out again since. */
  isCurrent(run: Pick<Run, 'start' | 'generation'>): boolean
}

/** Starts have room for 2^26 granules beside a size of 2^26 in the 53 exact bits of a number. */
const startSpan = 2 ** 26

export function createExtents(total: number): Extents {
  if (!Number.isInteger(total) || total < 1 || total >= startSpan) {
    throw new RangeError(`total is ${total}; extents manage 1 to ${startSpan - 1} granules`)
  }
  const bySize: number[] = []
  const freeCountByStart = new Map<number, number>()
  const freeStartByEnd = new Map<number, number>()
  const owned = new Map<number, Run>()
  let used = 0
  let generation = 0
  let end = total
  let behindEnd = 0

  const countBehind = ({ start, count }: Pick<Run, 'start' | 'count'>): number =>
    Math.max(0, start + count - Math.max(start, end))

  /** As much of it as lies in the range. */
  function addFree(start: number, wholeCount: number): void {
    const count = Math.min(wholeCount, end - start)
    if (count <= 0) return
    const key = count * startSpan + start
    bySize.splice(lowerBound(bySize, key), 0, key)
    freeCountByStart.set(start, count)
    freeStartByEnd.set(start + count, start)
  }

  function dropFree(start: number, count: number): void {
    bySize.splice(lowerBound(bySize, count * startSpan + start), 1)
    freeCountByStart.delete(start)
    freeStartByEnd.delete(start + count)
  }

  function isCurrent(run: Pick<Run, 'start' | 'generation'>): boolean {
    return owned.get(run.start)?.generation === run.generation
  }

  /** What nobody owns of [from, to), rising. */
  function gaps(from: number, to: number): [number, number][] {
    const found: [number, number][] = []
    let at = from
    for (const { start, count } of [...owned.values()].sort((a, b) => a.start - b.start)) {
      if (start + count <= at) continue
      if (start >= to) break
      if (start > at) found.push([at, start])
      at = start + count
    }
    if (at < to) found.push([at, to])
    return found
  }

  addFree(0, total)

  return {
    get used() {
      return used
    },
    get behindEnd() {
      return behindEnd
    },
    endAt(newEnd) {
      if (!Number.isInteger(newEnd) || newEnd < 1 || newEnd > total) {
        throw new RangeError(`the end is ${newEnd}; it is from 1 to ${total}`)
      }
      for (const [start, count] of [...freeCountByStart]) dropFree(start, count)
      end = newEnd
      for (const [from, to] of gaps(0, end)) addFree(from, to - from)
      behindEnd = 0
      for (const run of owned.values()) behindEnd += countBehind(run)
    },
    isBehindEnd(run) {
      const mine = isCurrent(run) ? owned.get(run.start) : undefined
      return mine !== undefined && countBehind(mine) > 0
    },
    gapsBehindEnd: () => gaps(end, total),
    get largestFree() {
      return Math.floor((bySize.at(-1) ?? 0) / startSpan)
    },
    allocate(count) {
      if (!Number.isInteger(count) || count < 1) {
        throw new RangeError(`count is ${count}; a run has at least one granule`)
      }
      const key = bySize[lowerBound(bySize, count * startSpan)]
      if (key === undefined) return null
      const start = key % startSpan
      const freeCount = Math.floor(key / startSpan)
      dropFree(start, freeCount)
      if (freeCount > count) addFree(start + count, freeCount - count)
      generation += 1
      const run = { start, count, generation }
      owned.set(start, run)
      used += count
      return run
    },
    name() {
      generation += 1
      return generation
    },
    free(given) {
      const run = owned.get(given.start)
      if (run === undefined || run.generation !== given.generation) {
        throw new RangeError(
          `granule ${given.start} of generation ${given.generation} is not owned`,
        )
      }
      owned.delete(run.start)
      used -= run.count
      behindEnd -= countBehind(run)
      let { start, count } = run
      const after = freeCountByStart.get(start + count)
      if (after !== undefined) {
        dropFree(start + count, after)
        count += after
      }
      const before = freeStartByEnd.get(start)
      if (before !== undefined) {
        dropFree(before, start - before)
        count += start - before
        start = before
      }
      addFree(start, count)
    },
    isCurrent,
  }
}

/** Index of the first element that is not below `key`. */
function lowerBound(sorted: readonly number[], key: number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] as number) < key) low = middle + 1
    else high = middle
  }
  return low
}

/**
 * What a tier of a certain size could serve at most, by looking into the future: of all blocks the
 * one goes whose next use is farthest away, and one that is never used again is not even stored
 * (Belady's MIN with bypass). A parent is used whenever a child is, so its next use is never
 * later: the order evicts leaves first by itself, what is stored is always whole chains, and no
 * policy that stores blocks of one size serves more. With blocks of several sizes it is a good
 * plan and no bound.
 */
import type { Trace } from './trace.ts'

const never = Number.MAX_SAFE_INTEGER

export interface Optimum {
  /** Replays the next request. Returns how many blocks of it were there. */
  next(): number
}

export function optimum(trace: Trace, capacityBytes: number): Optimum {
  const nextUse = nextUses(trace)
  /** Of a stored block the key it was put on the heap with last; 0: it is not stored. */
  const storedAs = new Float64Array(trace.blocks.length)
  const farthest = createHeap()
  let usedBytes = 0
  let request = -1

  function keep(block: number, key: number): void {
    const { sizeBytes } = trace.blocks[block] as { sizeBytes: number }
    const isStored = storedAs[block] !== 0
    if (key >= never) {
      if (isStored) usedBytes -= sizeBytes
      storedAs[block] = 0
      return
    }
    if (!isStored) usedBytes += sizeBytes
    storedAs[block] = key
    farthest.push(key, block)
  }

  return {
    next() {
      const { blocks } = trace.requests[++request] ?? { blocks: [] }
      const missing = blocks.findIndex((block) => storedAs[block] === 0)
      const uses = nextUse[request] as Float64Array
      for (const [depth, block] of blocks.entries()) keep(block, uses[depth] as number)
      while (usedBytes > capacityBytes) {
        const { key, block } = farthest.pop()
        // An entry from before the block was used again.
        if (storedAs[block] !== key) continue
        storedAs[block] = 0
        usedBytes -= trace.blocks[block]?.sizeBytes ?? 0
      }
      return missing < 0 ? blocks.length : missing
    },
  }
}

/** Deeper blocks of one request count as later, which makes leaves go first. */
const depthsPerRequest = 2 ** 20

/** For each request when each of its blocks is used next, as a key that rises with time. */
function nextUses({ requests, blocks }: Trace): Float64Array[] {
  const upcoming = new Float64Array(blocks.length).fill(never)
  const uses: Float64Array[] = new Array(requests.length)
  for (let at = requests.length - 1; at >= 0; at--) {
    const own = requests[at]?.blocks ?? []
    uses[at] = Float64Array.from(own, (block) => upcoming[block] as number)
    for (const [depth, block] of own.entries()) upcoming[block] = at * depthsPerRequest + depth + 1
  }
  return uses
}

/** A binary heap with the largest key on top. */
function createHeap() {
  const keys: number[] = []
  const blocks: number[] = []
  const swap = (a: number, b: number): void => {
    for (const list of [keys, blocks]) {
      const moved = list[a] as number
      list[a] = list[b] as number
      list[b] = moved
    }
  }
  const isHigher = (a: number, b: number): boolean => (keys[a] as number) > (keys[b] as number)
  return {
    push(key: number, block: number): void {
      let at = keys.push(key) - 1
      blocks.push(block)
      for (let up = (at - 1) >> 1; at > 0 && isHigher(at, up); up = (at - 1) >> 1) {
        swap(at, up)
        at = up
      }
    },
    /** Only while something is stored, and so on the heap. */
    pop(): { readonly key: number; readonly block: number } {
      swap(0, keys.length - 1)
      const top = { key: keys.pop() as number, block: blocks.pop() as number }
      for (let at = 0; ; ) {
        let child = 2 * at + 1
        if (child + 1 < keys.length && isHigher(child + 1, child)) child++
        if (child >= keys.length || !isHigher(child, at)) return top
        swap(at, child)
        at = child
      }
    },
  }
}

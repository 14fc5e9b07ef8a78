/**
 * What is worth keeping. Pure: what is known of a block comes in, its keep class goes out; of all
 * blocks the one goes first whose idle time, divided by the weight of its class, is the longest.
 *
 * In recorded conversations the chance that a block is used again in the next second falls about
 * as 1 / idle time, and rises with the uses before. Times what computing it again costs, per byte,
 * that is what its room earns; the block that earns least goes. So a block that was used four
 * times, or that costs four times as much for its size, may lie idle longer by these factors.
 */

export interface Worth {
  /** Requests that used it lately, this one included. */
  readonly uses: number
  /** What the engine would take to compute it again; null where nothing was measured yet. */
  readonly recomputeMs: number | null
  readonly sizeBytes: number
}

/**
 * Uses to this power. `npm run policies` shows what it does: 0.5 serves as much where much fits, 1
 * more where little does, and less than LRU where nearly all does.
 */
const usePower = 0.75

/** Classes are half an octave apart: what differs by less is kept in order of use. */
const classesPerOctave = 2
export const keepClassCount = 64
/** Class of a block that was used once and costs 1 ms for each MiB: leaves room below and above. */
const unitClass = 16
/** A block without bytes, or of a model whose speed nobody knows, costs as much as most do. */
const usualMsPerMebibyte = 128

const mebibyte = 1024 ** 2

/** The class of a block; higher ones are kept for longer. O(1). */
export function keepClassOf({ uses, recomputeMs, sizeBytes }: Worth): number {
  const isKnown = recomputeMs !== null && recomputeMs > 0 && sizeBytes > 0
  const msPerMebibyte = isKnown ? (recomputeMs * mebibyte) / sizeBytes : usualMsPerMebibyte
  const octaves = Math.log2(msPerMebibyte) + usePower * Math.log2(Math.max(1, uses))
  const keepClass = unitClass + Math.round(octaves * classesPerOctave)
  return Math.min(keepClassCount - 1, Math.max(0, keepClass))
}

/** How much longer blocks of this class may lie idle than those of class 0. */
export const keepWeight = (keepClass: number): number => 2 ** (keepClass / classesPerOctave)

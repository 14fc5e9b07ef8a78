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
/** Class of a block that was used once and costs 1 ms for each MiB: leaves room below and above. */
const unitClass = 16
/** Behind these come classes of blocks whose cost nobody knows: it is taken to be the usual one. */
const measuredClassCount = 64
const unmeasuredClassCount = 16
export const keepClassCount = measuredClassCount + unmeasuredClassCount

/** The class of a block that has just come, and of one that was found on the SSD at start. */
export const freshKeepClass = measuredClassCount

/** What is usual until something was measured; it then makes no difference. */
export const usualMsPerMebibyte = 128

const mebibyte = 1024 ** 2

/** What the room of a block costs to fill again; null: unknown, or it takes no room. */
export function msPerMebibyte({
  recomputeMs,
  sizeBytes,
}: Pick<Worth, 'recomputeMs' | 'sizeBytes'>): number | null {
  const isKnown = recomputeMs !== null && recomputeMs > 0 && sizeBytes > 0
  return isKnown ? (recomputeMs * mebibyte) / sizeBytes : null
}

/** The class of a block. O(1). */
export function keepClassOf(worth: Worth): number {
  const useOctaves = usePower * Math.log2(Math.max(1, worth.uses))
  const cost = msPerMebibyte(worth)
  if (cost === null) {
    const most = unmeasuredClassCount - 1
    return freshKeepClass + Math.min(most, Math.round(useOctaves * classesPerOctave))
  }
  const octaves = Math.log2(cost) + useOctaves
  const keepClass = unitClass + Math.round(octaves * classesPerOctave)
  return Math.min(measuredClassCount - 1, Math.max(0, keepClass))
}

/** How much longer than others blocks of this class may lie idle; `usual` in ms for each MiB. */
export function keepWeight(keepClass: number, usual: number): number {
  return keepClass < freshKeepClass
    ? 2 ** ((keepClass - unitClass) / classesPerOctave)
    : usual * 2 ** ((keepClass - freshKeepClass) / classesPerOctave)
}

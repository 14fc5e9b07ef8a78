/**
 * Ends an answer at the first stop string, and never lets a part of one through.
 *
 * Text that could be the beginning of a stop string is held back until the next piece decides. At
 * most the longest stop string's length is held.
 */

export interface StopVerdict {
  /** Text that may go to the client now. */
  readonly text: string
  /** The stop string that follows that text, and ends the answer. */
  readonly stopString: string | null
}

export interface StopFilter {
  push(piece: string): StopVerdict
  /** What was held back and turned out to be ordinary text. */
  flush(): string
}

/** Length of the longest end of `text` that begins some stop string without completing it. */
function heldLength(text: string, stops: readonly string[]): number {
  let held = 0
  for (const stop of stops) {
    const most = Math.min(stop.length - 1, text.length)
    for (let length = most; length > held; length--) {
      if (stop.startsWith(text.slice(text.length - length))) {
        held = length
        break
      }
    }
  }
  return held
}

/** Where two begin at the same place, the one that the client named first. */
function firstStop(text: string, stops: readonly string[]): { stop: string; at: number } | null {
  let first: { stop: string; at: number } | null = null
  for (const stop of stops) {
    const at = text.indexOf(stop)
    if (at >= 0 && (first === null || at < first.at)) first = { stop, at }
  }
  return first
}

export function createStopFilter(stops: readonly string[]): StopFilter {
  let held = ''
  return {
    push(piece) {
      const text = held + piece
      const first = firstStop(text, stops)
      if (first !== null) {
        held = ''
        return { text: text.slice(0, first.at), stopString: first.stop }
      }
      const keep = text.length - heldLength(text, stops)
      held = text.slice(keep)
      return { text: text.slice(0, keep), stopString: null }
    },
    flush() {
      const text = held
      held = ''
      return text
    },
  }
}

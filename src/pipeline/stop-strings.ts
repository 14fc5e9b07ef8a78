/**
 * Ends an answer at the first stop string, and never lets a part of one through.
 *
 * Text that could be the beginning of a stop string is held back until the next piece decides. At
 * most the longest stop string's length is held.
 */

export interface StopVerdict {
  /** Text that may go to the client now. */
  readonly text: string
  readonly isStopped: boolean
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

function firstStop(text: string, stops: readonly string[]): number {
  const places = stops.map((stop) => text.indexOf(stop)).filter((place) => place >= 0)
  return places.length === 0 ? -1 : Math.min(...places)
}

export function createStopFilter(stops: readonly string[]): StopFilter {
  let held = ''
  return {
    push(piece) {
      const text = held + piece
      const stopAt = firstStop(text, stops)
      if (stopAt >= 0) {
        held = ''
        return { text: text.slice(0, stopAt), isStopped: true }
      }
      const keep = text.length - heldLength(text, stops)
      held = text.slice(keep)
      return { text: text.slice(0, keep), isStopped: false }
    },
    flush() {
      const text = held
      held = ''
      return text
    },
  }
}

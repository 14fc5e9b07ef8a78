/**
 * The engine's calls never overlap: whoever wants one waits for its turn, first come, first served.
 * A request takes a turn for each of its calls, so that several requests move on together.
 */
export interface Turns {
  /** Runs `work` when everything that was asked for earlier is over. */
  take<T>(work: () => T | Promise<T>): Promise<T>
}

/** Bounded by its users: each open call of the service waits for at most one turn at a time. */
export function createTurns(): Turns {
  let last: Promise<unknown> = Promise.resolve()
  return {
    take(work) {
      const turn = last.then(work)
      last = turn.catch(() => {})
      return turn
    },
  }
}

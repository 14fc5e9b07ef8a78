/**
 * At most `limit` operations at once; the others wait in the order in which they came. The queue is
 * as long as its callers are many: here each of them holds a piece of the arena, which is finite.
 */
export interface InFlight {
  run<T>(operation: () => Promise<T>): Promise<T>
}

export function createInFlight(limit: number): InFlight {
  const waiting: (() => void)[] = []
  let running = 0
  return {
    async run(operation) {
      if (running === limit) await new Promise<void>((resolve) => waiting.push(resolve))
      else running += 1
      try {
        return await operation()
      } finally {
        // The place is handed over, not given back, so that nobody can overtake the queue.
        const next = waiting.shift()
        if (next === undefined) running -= 1
        else next()
      }
    },
  }
}

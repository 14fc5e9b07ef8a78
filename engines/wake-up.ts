/** Something that one loop waits for, at most so long. */
export interface WakeUp {
  fire(): void
  /** Resolves at the next `fire`, or after `limitMs`. One waiter at a time. */
  wait(limitMs: number): Promise<void>
}

export function createWakeUp(): WakeUp {
  let wake: (() => void) | null = null
  return {
    fire: () => wake?.(),
    wait: (limitMs) =>
      new Promise((resolve) => {
        const timer = setTimeout(() => wake?.(), limitMs)
        wake = () => {
          wake = null
          clearTimeout(timer)
          resolve()
        }
      }),
  }
}

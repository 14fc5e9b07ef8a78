/** How often, and how soon, a worker that dies may be started again. Pure: time is an argument. */
import type { EngineLimits } from './limits.ts'

export interface RestartBudget {
  /** Milliseconds to wait before the next start, or null when there is none left. */
  delayAfterDeath(nowMs: number): number | null
  /** Deaths within the window that ends with the last one. */
  readonly deaths: number
}

/** Exponential back-off over the deaths of the last window; older ones are forgiven. */
export function createRestartBudget(limits: EngineLimits): RestartBudget {
  let deathsAtMs: number[] = []
  return {
    delayAfterDeath(nowMs) {
      const forgivenMs = nowMs - limits.workerRestartWindowMs
      deathsAtMs = [...deathsAtMs.filter((atMs) => atMs > forgivenMs), nowMs]
      if (deathsAtMs.length > limits.workerRestartsPerWindow) return null
      const delayMs = limits.workerBackoffMinMs * 2 ** (deathsAtMs.length - 1)
      return Math.min(delayMs, limits.workerBackoffMaxMs)
    },
    get deaths() {
      return deathsAtMs.length
    },
  }
}

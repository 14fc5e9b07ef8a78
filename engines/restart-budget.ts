/** How often, and how soon, a worker that dies may be started again. Pure: time is an argument. */
import type { EngineLimits } from './limits.ts'

export interface RestartBudget {
  /** The wait before the next start; `isSpent`: it died too often to be started unasked. */
  afterDeath(nowMs: number): { readonly delayMs: number; readonly isSpent: boolean }
  /** Deaths within the window that ends with the last one. */
  readonly deaths: number
}

/** Exponential back-off over the deaths of the last window; older ones are forgiven. */
export function createRestartBudget(limits: EngineLimits): RestartBudget {
  let deathsAtMs: number[] = []
  return {
    afterDeath(nowMs) {
      const forgivenMs = nowMs - limits.workerRestartWindowMs
      deathsAtMs = [...deathsAtMs.filter((atMs) => atMs > forgivenMs), nowMs]
      const delayMs = limits.workerBackoffMinMs * 2 ** (deathsAtMs.length - 1)
      return {
        delayMs: Math.min(delayMs, limits.workerBackoffMaxMs),
        isSpent: deathsAtMs.length > limits.workerRestartsPerWindow,
      }
    },
    get deaths() {
      return deathsAtMs.length
    },
  }
}

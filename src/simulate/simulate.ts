/** A trace over several sizes and policies: what each of them would have served. */
import { setImmediate } from 'node:timers/promises'
import { optimum } from './optimum.ts'
import type { Policy } from './policies.ts'
import { replay } from './replay.ts'
import type { Trace } from './trace.ts'

export interface SimulateOptions {
  readonly sizesBytes: readonly number[]
  readonly policies: readonly Policy[]
  readonly signal: AbortSignal
  readonly onProgress: (progress: { done: number; total: number }) => void
}

export interface Served {
  readonly policy: Policy
  readonly hitBlocks: number
  /** Of all blocks that were asked for. */
  readonly hitRate: number
}

export interface SizeResult {
  readonly sizeBytes: number
  readonly served: readonly Served[]
}

export interface Simulation {
  readonly requests: number
  readonly askedBlocks: number
  readonly distinctBlocks: number
  readonly distinctBytes: number
  /** Of a tier that holds everything. */
  readonly hitRateMax: number
  readonly sizes: readonly SizeResult[]
}

/** Requests between two looks at the signal: a few milliseconds. */
const requestsPerTurn = 250

/** Rejects with the signal's reason when it fires. */
export async function simulate(trace: Trace, options: SimulateOptions): Promise<Simulation> {
  const { sizesBytes, signal, onProgress } = options
  const total = trace.requests.length * sizesBytes.length * options.policies.length
  let done = 0

  async function hitBlocksOf(policy: Policy, sizeBytes: number): Promise<number> {
    const tier = policy === 'optimum' ? optimum(trace, sizeBytes) : replay(trace, policy, sizeBytes)
    let hitBlocks = 0
    for (const index of trace.requests.keys()) {
      hitBlocks += tier.next()
      done++
      if (index % requestsPerTurn !== 0) continue
      onProgress({ done, total })
      await setImmediate()
      signal.throwIfAborted()
    }
    return hitBlocks
  }

  const sizes: SizeResult[] = []
  for (const sizeBytes of sizesBytes) {
    const served: Served[] = []
    for (const policy of options.policies) {
      const hitBlocks = await hitBlocksOf(policy, sizeBytes)
      served.push({ policy, hitBlocks, hitRate: hitBlocks / trace.askedBlocks })
    }
    sizes.push({ sizeBytes, served })
  }
  onProgress({ done, total })
  return { ...factsOf(trace), sizes }
}

function factsOf({ requests, blocks, askedBlocks }: Trace): Omit<Simulation, 'sizes'> {
  return {
    requests: requests.length,
    askedBlocks,
    distinctBlocks: blocks.length,
    distinctBytes: blocks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    hitRateMax: 1 - blocks.length / askedBlocks,
  }
}

/** Parts of what the whole trace would take, from far too little to all of it. */
const sizeShares = [1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1]

/** Sizes that show where more room stops to help, where nobody names others. */
export function usualSizes({ blocks }: Trace): number[] {
  const distinctBytes = blocks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  return sizeShares.map((share) => Math.ceil(distinctBytes * share))
}

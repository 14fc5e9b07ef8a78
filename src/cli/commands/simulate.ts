/** `prefixd simulate`: a trace, replayed over sizes and policies. Asks no service. */
import { resolve } from 'node:path'
import type { Policy } from '../../simulate/policies.ts'
import { readTrace } from '../../simulate/read-trace.ts'
import { simulate as run, type Simulation, usualSizes } from '../../simulate/simulate.ts'
import { type CliContext, writeJson, writeLines } from '../context.ts'
import { runLongStep } from '../long-step.ts'
import { shareLine } from '../render/share-line.ts'
import { simulationPage } from '../render/simulation-page.ts'

export interface SimulateFlags {
  readonly sizes?: readonly number[]
  readonly policy: readonly Policy[]
  readonly tokenBytes: number
  readonly json?: boolean
}

/** Blocks of Mooncake's traces, which do not say it. */
const mooncakeBlockTokens = 512

export async function simulate(
  this: CliContext,
  flags: SimulateFlags,
  file: string,
): Promise<void> {
  const signal = this.interrupted()
  const path = resolve(this.around.workingDir, file)
  const defaults = { blockTokens: mooncakeBlockTokens, bytesPerToken: flags.tokenBytes }
  const reading = shareLine(this.err, `reading ${file}`)
  const trace = await runLongStep(this, reading, signal, ({ onProgress }) =>
    readTrace(path, { ...defaults, signal, onProgress }),
  )
  const sizesBytes = flags.sizes ?? usualSizes(trace)
  const replaying = shareLine(this.err, 'replaying')
  const result = await runLongStep(this, replaying, signal, ({ onProgress }) =>
    run(trace, { sizesBytes, policies: flags.policy, signal, onProgress }),
  )
  if (flags.json) return writeJson(this.out, jsonOf(result))
  writeLines(this.out, simulationPage(result, this.out))
}

function jsonOf(result: Simulation): object {
  return {
    requests: result.requests,
    asked_blocks: result.askedBlocks,
    distinct_blocks: result.distinctBlocks,
    distinct_bytes: result.distinctBytes,
    hit_rate_max: result.hitRateMax,
    sizes: result.sizes.map(({ sizeBytes, served }) => ({
      size_bytes: sizeBytes,
      policies: served.map(({ policy, hitBlocks, hitRate }) => ({
        policy,
        hit_blocks: hitBlocks,
        hit_rate: hitRate,
      })),
    })),
  }
}

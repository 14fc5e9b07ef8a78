/** A supervised MLX worker with short limits, on a small model of random weights. */
import { type EngineLimits, type MlxRuntime, startMlxEngine } from '../../engines/index.ts'
import type { Engine, WorkerOptions } from '../../engines/types.ts'
import { mlxRuntime } from '../../src/environment/index.ts'
import type { EngineArena } from './engine-arena.ts'
import { mlxTestEnvironment } from './mlx-environment.ts'
import { type MlxFamily, mlxFamilyPath } from './mlx-family-models.ts'
import { testLimits } from './start-fake.ts'

/** Python imports for seconds before a worker is ready, far longer beside others. */
const patience: Partial<EngineLimits> = { workerReadyMs: 240_000, workerSilenceMs: 120_000 }

/** What the product would start the worker with, OpenBLAS included. For `beforeAll`. */
export async function mlxTestRuntime(): Promise<MlxRuntime> {
  const { around } = await mlxTestEnvironment()
  return mlxRuntime(around)
}

export function startMlx(
  runtime: MlxRuntime,
  options: {
    readonly arena: EngineArena
    readonly family?: MlxFamily
    readonly worker?: Partial<WorkerOptions>
    readonly limits?: Partial<EngineLimits>
    readonly log?: (line: string) => void
  },
): Engine {
  return startMlxEngine(runtime, {
    worker: {
      modelPath: mlxFamilyPath(runtime.python, options.family ?? 'llama'),
      contextTokens: 512,
      sequences: 2,
      threads: 1,
      blockTokens: 32,
      reuse: 'token',
      engine: {},
      ...options.worker,
    },
    arena: options.arena.shared,
    view: options.arena.view,
    limits: { ...testLimits, ...patience, ...options.limits },
    log: options.log ?? (() => {}),
  })
}

/** The only public door to the engines. */
import { fileURLToPath } from 'node:url'
import { type MlxRuntime, mlxCommand, mlxWorkerOptions } from './mlx/command.ts'
import { createEngine, type EngineOptions } from './supervisor.ts'
import type { Engine } from './types.ts'

export { EngineError, RestoreError } from './errors.ts'
export { parseGbnf as checkGrammar } from './gbnf.ts'
export type { EngineLimits } from './limits.ts'
export type { MlxRuntime } from './mlx/command.ts'
export type { EngineOptions } from './supervisor.ts'
export type * from './types.ts'

/** Engines whose workers are Node processes of this package. */
export const nodeEngines = ['llamacpp', 'fake'] as const
export type NodeEngine = (typeof nodeEngines)[number]

/**
 * Starts a worker of this kind in a process of its own. Returns at once; `ready()` tells how the
 * loading went. Costs one Node process and whatever the model takes.
 */
export function startEngine(kind: NodeEngine, options: EngineOptions): Engine {
  // The source tree runs as .ts, the published package as .js.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  const entry = fileURLToPath(new URL(`./${kind}/main.${extension}`, import.meta.url))
  return createEngine({ command: process.execPath, args: [entry], env: {} }, options)
}

/** The same for the Python worker of an installed environment. */
export function startMlxEngine(runtime: MlxRuntime, options: EngineOptions): Engine {
  const worker = mlxWorkerOptions(runtime, options.worker)
  return createEngine(mlxCommand(runtime, worker.threads), { ...options, worker })
}

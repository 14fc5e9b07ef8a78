/** The only public door to the engines. */
import { fileURLToPath } from 'node:url'
import { createEngine, type EngineOptions } from './supervisor.ts'
import type { Engine } from './types.ts'

export { EngineError, RestoreError } from './errors.ts'
export { parseGbnf as checkGrammar } from './gbnf.ts'
export type { EngineLimits } from './limits.ts'
export { type MlxDevice, mlxPythonPath, mlxRequirements } from './mlx/files.ts'
export type { EngineOptions } from './supervisor.ts'
export type * from './types.ts'

export const engineKinds = ['llamacpp', 'fake'] as const
export type EngineKind = (typeof engineKinds)[number]

/**
 * Starts a worker of this kind in a process of its own. Returns at once; `ready()` tells how the
 * loading went. Costs one Node process and whatever the model takes.
 */
export function startEngine(kind: EngineKind, options: EngineOptions): Engine {
  // The source tree runs as .ts, the published package as .js.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  const entry = fileURLToPath(new URL(`./${kind}/main.${extension}`, import.meta.url))
  return createEngine({ command: process.execPath, args: [entry], env: {} }, options)
}

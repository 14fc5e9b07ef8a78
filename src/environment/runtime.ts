/** The environment as the engine is started with it. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type MlxRuntime, mlxPackage, mlxPythonPath } from '../../engines/on-disk.ts'
import type { Surroundings } from '../config/paths.ts'
import { PrefixdError } from '../errors.ts'
import { findBlas } from './blas.ts'
import { readyEnvironment } from './environment.ts'

/** Throws PREFIXD_E_ENGINE_MISSING where the environment, or our own part, cannot be used. */
export async function mlxRuntime(around: Surroundings): Promise<MlxRuntime> {
  const environment = readyEnvironment(around)
  const worker = join(mlxPythonPath(), mlxPackage)
  if (!existsSync(worker)) {
    throw new PrefixdError(
      'PREFIXD_E_ENGINE_MISSING',
      `The worker of the MLX engine is not part of this prefixd (there is no ${worker}).`,
      { field: 'engine', next: 'Install prefixd again, or serve with --engine llamacpp.' },
    )
  }
  const blas = await findBlas(environment, around.env)
  return { python: environment.places.python, blas }
}

/** The environment as the engine is started with it. */
import type { MlxRuntime } from '../../engines/on-disk.ts'
import type { Surroundings } from '../config/paths.ts'
import { findBlas } from './blas.ts'
import { readyEnvironment } from './environment.ts'

/** Throws PREFIXD_E_ENGINE_MISSING where the environment cannot be used. */
export async function mlxRuntime(around: Surroundings): Promise<MlxRuntime> {
  const environment = readyEnvironment(around)
  const blas = await findBlas(environment, around.env)
  return { python: environment.places.python, blas }
}

/** The environment as the engine is started with it. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import {
  type MlxDevice,
  type MlxRuntime,
  mlxPackage,
  mlxPythonPath,
} from '../../engines/on-disk.ts'
import type { Surroundings } from '../config/paths.ts'
import { PrefixdError } from '../errors.ts'
import { findBlas } from './blas.ts'
import { mlxEnvironment, readyEnvironment } from './environment.ts'
import { thisMachine } from './platform.ts'

export interface MlxComputer {
  readonly device: MlxDevice
  /** Is a BLAS preloaded, through which float32 is the fast way? */
  readonly hasBlas: boolean
}

/** Throws PREFIXD_E_ENGINE_MISSING where the environment, or our own part, cannot be used. */
export async function mlxRuntime(around: Surroundings): Promise<MlxRuntime & MlxComputer> {
  const environment = readyEnvironment(around)
  const worker = join(mlxPythonPath(), mlxPackage)
  if (!existsSync(worker)) {
    throw new PrefixdError(
      'PREFIXD_E_ENGINE_MISSING',
      `The worker of the MLX engine is not part of this prefixd (there is no ${worker}).`,
      {
        field: 'engine',
        next: 'Install prefixd again, or serve GGUF files with --engine llamacpp.',
      },
    )
  }
  const blas = await findBlas(environment, around.env)
  const { device } = environment.record
  return { python: environment.places.python, blas, device, hasBlas: blas !== null }
}

/** What MLX computes with here; where it is not ready, what `engines install mlx` would bring. */
export async function mlxComputer(around: Surroundings): Promise<MlxComputer> {
  const environment = mlxEnvironment(around)
  if (environment.state === 'ready') {
    const hasBlas = (await findBlas(environment, around.env)) !== null
    return { device: environment.record.device, hasBlas }
  }
  const device = thisMachine().platform === 'darwin' ? 'metal' : 'cpu'
  return { device, hasBlas: device === 'cpu' }
}

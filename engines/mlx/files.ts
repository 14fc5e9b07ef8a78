/** Where the Python side of the MLX engine lies, in a clone and in the packed package. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What mlx computes on. */
export type MlxDevice = 'cpu' | 'cuda' | 'metal'

/** Beside this file; from dist/, where only JavaScript is, in the package's folder of sources. */
function pythonSide(): string {
  const places = ['./', '../../../engines/mlx/'].map((place) =>
    fileURLToPath(new URL(place, import.meta.url)),
  )
  const [beside = ''] = places
  return places.find((place) => existsSync(join(place, 'requirements.txt'))) ?? beside
}

/** The folder that PYTHONPATH takes; `mlxPackage` is in it. */
export const mlxPythonPath = (): string => join(pythonSide(), 'python')

/** What Python is asked to run. */
export const mlxPackage = 'prefixd_mlx'

/** The file of exact versions for pip and uv. */
export const mlxRequirements = (device: MlxDevice): string =>
  join(pythonSide(), `requirements-${device}.txt`)

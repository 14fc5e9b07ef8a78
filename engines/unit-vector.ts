/** Vectors of length 1, which clients compare by their products alone. */
import { EngineError } from './errors.ts'

/** Throws `PREFIXD_E_ENGINE_COMPUTE` for what has no direction. */
export function toUnitLength(vector: Float32Array): Float32Array {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0))
  if (length > 0 && Number.isFinite(length)) return vector.map((value) => value / length)
  throw new EngineError(
    'PREFIXD_E_ENGINE_COMPUTE',
    'The engine made a vector that has no direction. Try another text or model.',
  )
}

/** Which numbers MLX computes with on a machine, and how many bytes they take. Pure. */

/** What MLX computes with here. */
export interface MlxComputer {
  readonly device: 'cpu' | 'cuda' | 'metal'
  /** Is a BLAS preloaded, through which float32 is the fast way? */
  readonly hasBlas: boolean
}

/** `stored`: as the model's files have them, quantised weights included. */
export type MlxNumbers = 'float32' | 'stored'

/** As `_convert` in prefixd_mlx/loading.py chooses. */
export const mlxNumbers = ({ device, hasBlas }: MlxComputer): MlxNumbers =>
  device === 'cpu' && hasBlas ? 'float32' : 'stored'

export const float32Bytes = Float32Array.BYTES_PER_ELEMENT

/** Bits that a number of keys and values is kept in; null: as the model computes. */
const kvBits: Readonly<Record<string, number | null>> = { f16: null, q8_0: 8, q4_0: 4 }
/** Numbers that share a step and a beginning (`kv_group_size` of the worker). */
const kvGroup = 64

/** Of one number of keys and values, for a `--kv-type` that MLX has. */
export function kvNumberBytes(kvType: string, computedBytes: number): number {
  const bits = kvBits[kvType.split('/')[0] ?? ''] ?? null
  return bits === null ? computedBytes : bits / 8 + (2 * computedBytes) / kvGroup
}

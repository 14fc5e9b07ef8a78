/** Tensors of noise, fixed by a seed, for models whose answers need only be reproducible. */
import type { GgufTensor } from './gguf-writer.ts'

export interface RandomWeights {
  /** Of standard deviation `scale` ÷ √`from`, so that depth neither swells nor fades. */
  matrix(name: string, from: number, to: number, scale?: number): GgufTensor
  /** As `matrix`, for `count` of them, e.g. the experts of a layer. */
  matrices(name: string, from: number, to: number, count: number): GgufTensor
  /** A norm's weight, which must not take everything away. */
  norm(name: string, length: number): GgufTensor
  bias(name: string, length: number): GgufTensor
  /** Evenly between two numbers. */
  between(name: string, shape: readonly number[], low: number, high: number): GgufTensor
}

/** The same seed gives the same numbers, in the order of the calls. */
export function randomWeights(seed: number): RandomWeights {
  let state = seed
  const uniform = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32 - 0.5
  }
  const filled = (name: string, shape: readonly number[], value: () => number): GgufTensor => {
    const data = new Float32Array(shape.reduce((product, each) => product * each, 1))
    for (let index = 0; index < data.length; index += 1) data[index] = value()
    return { name, shape, data }
  }
  const spread = (from: number, scale: number): number => scale * Math.sqrt(12 / from)
  return {
    matrix: (name, from, to, scale = 1) =>
      filled(name, [from, to], () => uniform() * spread(from, scale)),
    matrices: (name, from, to, count) =>
      filled(name, [from, to, count], () => uniform() * spread(from, 1)),
    norm: (name, length) => filled(name, [length], () => 1 + uniform() / 10),
    bias: (name, length) => filled(name, [length], () => uniform() / 10),
    between: (name, shape, low, high) =>
      filled(name, shape, () => (low + high) / 2 + uniform() * (high - low)),
  }
}

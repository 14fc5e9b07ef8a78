/** The fake engine's vectors: texts that share tokens are near each other. */
import { mix } from './kv.ts'

export const fakeEmbeddingSize = 16

/** Every token has a direction of its own; a text has the sum of them. */
export function embedFake(tokens: Uint32Array, weightsSeed: number): Float32Array {
  const vector = new Float32Array(fakeEmbeddingSize)
  for (const token of tokens) {
    for (let at = 0; at < fakeEmbeddingSize; at += 1) {
      const digest = mix(mix(token, weightsSeed), at)
      vector[at] = (vector[at] ?? 0) + (digest >>> 0) / 2 ** 31 - 1
    }
  }
  return vector
}

/**
 * What MLX takes for sequences. Calls of all of them are computed one after another in one process,
 * so its buffers are there once; they are an upper estimate, as those of llama.cpp are. Pure.
 *
 * Measured with smollm2-135m in float32 on a CPU (one thread, calls of 256 tokens): the process
 * grew by 787 MiB over 8,192 tokens whose rows are 360 MiB, and here are 851. Rows move into longer
 * arrays as the text grows, and the allocator keeps the holes; where several requests decode,
 * mlx-lm's batch has a copy of their rows. So there is room for every row twice.
 */
import type { MlxMemory } from './mlx-memory.ts'
import { float32Bytes, kvNumberBytes } from './mlx-numbers.ts'
import type { SequenceMemory } from './sequence-memory.ts'

export interface MlxUse {
  /** Of one number that is computed with. */
  readonly computedBytes: number
  readonly kvType: string
  /** Tokens of the longest call. */
  readonly callTokens: number
}

/** Arrays grow in steps of this. */
const cellStep = 256
/** Rows of each width that are alive at once while a layer is computed. */
const embeddingRows = 8
const hiddenRows = 4

export function mlxSequences(memory: MlxMemory, use: MlxUse): SequenceMemory {
  const { kv, rowWidth, heads, vocabulary, trainedContextTokens, kinds, guess } = memory
  const { computedBytes, kvType, callTokens } = use
  const kvBytesPerToken = (kv.keys + kv.values) * kvNumberBytes(kvType, computedBytes)
  const width = rowWidth.embedding * embeddingRows + rowWidth.hidden * hiddenRows + vocabulary
  return {
    trainedContextTokens,
    kinds,
    kvBytesPerToken,
    guess,
    useless: null,
    quantised: kvType.startsWith('f16') ? mlxSequences(memory, { ...use, kvType: 'q8_0' }) : null,
    bytesOf(contextTokens, sequences) {
      const cells = Math.ceil(contextTokens / cellStep) * cellStep
      const kept = Math.ceil(sequences * cells * kvBytesPerToken)
      const scores = heads * cells * float32Bytes
      const call = callTokens * (scores + width * computedBytes)
      return { kept, exact: 0, computing: kept + call }
    },
  }
}

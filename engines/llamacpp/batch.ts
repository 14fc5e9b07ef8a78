/** One `llama_batch` that is filled anew for every call; its arrays are malloc'ed once. */
import koffi from 'koffi'
import type { TokenIds } from '../../cache/types.ts'
import type { Batch, Pointer } from './structs.ts'

export type OutputsOf = 'none' | 'last' | 'all'

export interface BatchMemory {
  readonly capacityTokens: number
  /**
   * `tokens` at positions from `firstPosition` in one sequence, and of which of them the engine
   * shall give something out; valid until the next fill.
   */
  fill(tokens: TokenIds, firstPosition: number, sequence: number, outputsOf: OutputsOf): Batch
  free(): void
}

export function allocateBatch(capacityTokens: number, sequenceCount: number): BatchMemory {
  const allocate = (type: string, length: number, bytes: number) => {
    const address = koffi.alloc(type, length) as Pointer
    return { address, buffer: koffi.view(address, length * bytes) }
  }
  const token = allocate('int32_t', capacityTokens, 4)
  const position = allocate('int32_t', capacityTokens, 4)
  const sequencesOfToken = allocate('int32_t', capacityTokens, 4)
  const sequencePointers = allocate('uint64_t', capacityTokens, 8)
  const output = allocate('int8_t', capacityTokens, 1)
  const sequenceIds = allocate('int32_t', sequenceCount, 4)

  const tokens = new Int32Array(token.buffer)
  const positions = new Int32Array(position.buffer)
  const pointers = new BigUint64Array(sequencePointers.buffer)
  const outputs = new Int8Array(output.buffer)
  new Int32Array(sequencesOfToken.buffer).fill(1)
  new Int32Array(sequenceIds.buffer).forEach((_, index, ids) => {
    ids[index] = index
  })

  return {
    capacityTokens,
    fill: (ids, firstPosition, sequence, outputsOf) => {
      const count = ids.length
      tokens.set(ids)
      for (let index = 0; index < count; index += 1) positions[index] = firstPosition + index
      pointers.fill(sequenceIds.address + BigInt(4 * sequence), 0, count)
      outputs.fill(outputsOf === 'all' ? 1 : 0, 0, count)
      if (outputsOf !== 'none') outputs[count - 1] = 1
      return {
        n_tokens: count,
        token: token.address,
        embd: null,
        pos: position.address,
        n_seq_id: sequencesOfToken.address,
        seq_id: sequencePointers.address,
        logits: output.address,
      }
    },
    free: () => {
      const all = [token, position, sequencesOfToken, sequencePointers, output, sequenceIds]
      for (const { address } of all) koffi.free(address)
    },
  }
}

/** Tokens with their logits, as llama.cpp's samplers take and rearrange them. */
import koffi from 'koffi'
import type { LlamaCalls } from './calls.ts'
import type { Pointer } from './structs.ts'

/** `llama_token_data`: `int32 id | float logit | float p`. */
const wordsPerCandidate = 3
/** `llama_token_data_array`: `data * | size_t size | int64 selected | bool sorted`, padded. */
const arrayBytes = 32

export interface Candidates {
  /** Every token of the vocabulary, in order. */
  fill(logits: Float32Array): void
  /** These tokens alone. */
  fillOnly(tokens: Uint32Array, logits: Float32Array): void
  apply(sampler: Pointer): void
  /** Id of the one that the last sampler chose. */
  choice(): number
  free(): void
}

export function allocateCandidates(calls: LlamaCalls, capacity: number): Candidates {
  const data = koffi.alloc('uint32_t', capacity * wordsPerCandidate) as Pointer
  const array = koffi.alloc('uint64_t', arrayBytes / 8) as Pointer
  const buffer = koffi.view(data, capacity * wordsPerCandidate * 4)
  const ids = new Int32Array(buffer)
  const floats = new Float32Array(buffer)
  const head = new BigInt64Array(koffi.view(array, arrayBytes))

  /** A sampler may have cut the array, sorted it, or chosen one. */
  const begin = (count: number): void => {
    head[0] = data
    head[1] = BigInt(count)
    head[2] = -1n
    head[3] = 0n
  }

  return {
    fill(logits) {
      begin(logits.length)
      for (let token = 0, at = 0; token < logits.length; token += 1, at += wordsPerCandidate) {
        ids[at] = token
        floats[at + 1] = logits[token] ?? 0
      }
    },
    fillOnly(tokens, logits) {
      begin(tokens.length)
      for (let index = 0, at = 0; index < tokens.length; index += 1, at += wordsPerCandidate) {
        const token = tokens[index] ?? 0
        ids[at] = token
        floats[at + 1] = logits[token] ?? 0
      }
    },
    apply: (sampler) => calls.llama_sampler_apply(sampler, array),
    choice() {
      return ids[Number(head[2]) * wordsPerCandidate] ?? -1
    },
    free() {
      koffi.free(data)
      koffi.free(array)
    },
  }
}

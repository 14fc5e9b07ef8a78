/** Picks the next token by llama.cpp's own sampler chain. */
import type { TokenIds } from '../../cache/types.ts'
import type { EngineSampler, Sampling } from '../types.ts'
import type { LlamaCalls } from './calls.ts'
import type { Pointer } from './structs.ts'

/** Tokens that the penalties look back on; the default of llama-server. */
const penaltyWindowTokens = 64

/** llama.cpp reads this seed as "take a random one"; its neighbour is as good and reproducible. */
const randomSeed = 0xffffffff

export interface SamplerContext {
  readonly calls: LlamaCalls
  readonly context: Pointer
  readonly vocabularySize: number
  /** Throws unless the logits in the context are those that this sampler may look at. */
  checkLogits(): void
}

export function createSampler(
  { calls, context, vocabularySize, checkLogits }: SamplerContext,
  sampling: Sampling,
  prompt: TokenIds,
): EngineSampler {
  const chain = calls.llama_sampler_chain_init({ no_perf: true })
  const add = (link: Pointer): void => calls.llama_sampler_chain_add(chain, link)
  const { repeatPenalty, frequencyPenalty, presencePenalty } = sampling
  if (repeatPenalty !== 1 || frequencyPenalty !== 0 || presencePenalty !== 0) {
    add(
      calls.llama_sampler_init_penalties(
        vocabularySize,
        penaltyWindowTokens,
        repeatPenalty,
        frequencyPenalty,
        presencePenalty,
      ),
    )
    for (const token of prompt.subarray(-penaltyWindowTokens)) {
      calls.llama_sampler_accept(chain, token)
    }
  }
  if (sampling.temperature <= 0) {
    add(calls.llama_sampler_init_greedy())
  } else {
    if (sampling.topK > 0) add(calls.llama_sampler_init_top_k(sampling.topK))
    if (sampling.topP < 1) add(calls.llama_sampler_init_top_p(sampling.topP, 1))
    if (sampling.minP > 0) add(calls.llama_sampler_init_min_p(sampling.minP, 1))
    add(calls.llama_sampler_init_temp(sampling.temperature))
    const seed = sampling.seed >>> 0
    add(calls.llama_sampler_init_dist(seed === randomSeed ? seed - 1 : seed))
  }
  let open = true
  return {
    sample: () => {
      checkLogits()
      return calls.llama_sampler_sample(chain, context, -1)
    },
    close: () => {
      if (open) calls.llama_sampler_free(chain)
      open = false
    },
  }
}

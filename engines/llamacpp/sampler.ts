/** Picks the next token by llama.cpp's own samplers. */
import { EngineError } from '../errors.ts'
import { type HeldTokens, type HeldVocabulary, holdTokens } from '../held-tokens.ts'
import type { EngineSampler, SamplerRequest, Sampling, TokenBias } from '../types.ts'
import type { LlamaCalls } from './calls.ts'
import { allocateCandidates } from './candidates.ts'
import type { Pointer } from './structs.ts'

/** Tokens that the penalties look back on; the default of llama-server. */
const penaltyWindowTokens = 64

/** llama.cpp reads this seed as "take a random one"; its neighbour is as good and reproducible. */
const randomSeed = 0xffffffff

export interface SamplerContext {
  readonly calls: LlamaCalls
  readonly context: Pointer
  /** Made when the first grammar needs it. */
  readonly heldVocabulary: () => HeldVocabulary
  readonly vocabularySize: number
  /**
   * A view that the next call overwrites. Throws unless the logits in the context are those that
   * this sampler may look at.
   */
  logits(): Float32Array
}

/** Throws GrammarError. */
export function createSampler(context: SamplerContext, request: SamplerRequest): EngineSampler {
  const { grammar = null } = request
  if (grammar === null) return freeSampler(context, createChain(context, request))
  const held = holdTokens(grammar, context.heldVocabulary())
  return heldSampler(context, createChain(context, request), held)
}

/** What changes or chooses logits, in the order of llama-server. */
function createChain({ calls, vocabularySize }: SamplerContext, request: SamplerRequest): Pointer {
  const { sampling, logitBias = [], tokens } = request
  const chain = calls.llama_sampler_chain_init({ no_perf: true })
  const add = (link: Pointer): void => calls.llama_sampler_chain_add(chain, link)
  if (logitBias.length > 0) {
    const { length } = logitBias
    add(calls.llama_sampler_init_logit_bias(vocabularySize, length, biasBytes(logitBias)))
  }
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
    for (const token of tokens.subarray(-penaltyWindowTokens)) {
      calls.llama_sampler_accept(chain, token)
    }
  }
  addChoice(calls, add, sampling)
  return chain
}

function addChoice(calls: LlamaCalls, add: (link: Pointer) => void, sampling: Sampling): void {
  if (sampling.temperature <= 0) {
    add(calls.llama_sampler_init_greedy())
    return
  }
  if (sampling.topK > 0) add(calls.llama_sampler_init_top_k(sampling.topK))
  if (sampling.topP < 1) add(calls.llama_sampler_init_top_p(sampling.topP, 1))
  if (sampling.minP > 0) add(calls.llama_sampler_init_min_p(sampling.minP, 1))
  add(calls.llama_sampler_init_temp(sampling.temperature))
  const seed = sampling.seed >>> 0
  add(calls.llama_sampler_init_dist(seed === randomSeed ? seed - 1 : seed))
}

/** `llama_logit_bias`: `int32 token | float bias`, which llama.cpp copies. */
function biasBytes(biases: readonly TokenBias[]): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(8 * biases.length))
  for (const [index, { token, bias }] of biases.entries()) {
    bytes.setInt32(8 * index, token, true)
    bytes.setFloat32(8 * index + 4, bias, true)
  }
  return new Uint8Array(bytes.buffer)
}

/** Everything in one call of llama.cpp. */
function freeSampler({ calls, context, logits }: SamplerContext, chain: Pointer): EngineSampler {
  let open = true
  return {
    sample() {
      logits()
      return calls.llama_sampler_sample(chain, context, -1)
    },
    close() {
      if (open) calls.llama_sampler_free(chain)
      open = false
    },
  }
}

/**
 * A grammar looks at one token in microseconds, and at a whole vocabulary in milliseconds. So the
 * chain chooses without it first; only where the grammar refuses that token the chain chooses
 * again, among those that are allowed. Penalties and grammar hear of the token that was taken
 * alone. The second choice draws a second random number: the same seed still gives the same answer.
 */
function heldSampler(
  { calls, vocabularySize, logits }: SamplerContext,
  chain: Pointer,
  held: HeldTokens,
): EngineSampler {
  const candidates = allocateCandidates(calls, vocabularySize)
  let open = true

  const choose = (): number => {
    candidates.fill(logits())
    candidates.apply(chain)
    const wish = candidates.choice()
    if (held.allows(wish)) return wish
    const allowed = held.allowed()
    if (allowed.length === 0) throw noWayOn()
    candidates.fillOnly(allowed, logits())
    candidates.apply(chain)
    return candidates.choice()
  }

  return {
    sample() {
      const token = choose()
      held.accept(token)
      calls.llama_sampler_accept(chain, token)
      return token
    },
    close() {
      if (!open) return
      open = false
      calls.llama_sampler_free(chain)
      candidates.free()
    },
  }
}

/** No token of the vocabulary goes on where the answer stands, and it may not end there either. */
const noWayOn = (): EngineError =>
  new EngineError(
    'PREFIXD_E_ENGINE_GRAMMAR',
    'No token of this model goes on where the answer stands in the grammar. Allow other ' +
      'characters there, or let the answer end.',
  )

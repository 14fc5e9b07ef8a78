/** Log-probabilities as OpenAI's clients read them, of the logits that a token was sampled from. */
import type { TokenLogprob, TokenLogprobs } from './types.ts'

/**
 * The sampled token and the `topCount` likeliest ones, the likeliest first; of two that are equally
 * likely the one with the smaller id. Pure; one or two passes over the vocabulary.
 */
export function logprobsOf(
  logits: Float32Array,
  token: number,
  topCount: number,
  bytesOf: (token: number) => Uint8Array,
): TokenLogprobs {
  const top = likeliest(logits, topCount)
  const offset = logOfSum(logits)
  const logprobOf = (each: number): TokenLogprob => ({
    token: each,
    bytes: bytesOf(each),
    logprob: (logits[each] ?? Number.NEGATIVE_INFINITY) - offset,
  })
  const { bytes, logprob } = logprobOf(token)
  return { bytes, logprob, top: top.map(logprobOf) }
}

/** Ids of the largest logits; a short sorted list suffices, since few are asked for. */
function likeliest(logits: Float32Array, count: number): number[] {
  const top: number[] = []
  if (count === 0) return top
  let least = Number.NEGATIVE_INFINITY
  for (let token = 0; token < logits.length; token += 1) {
    const logit = logits[token] ?? Number.NEGATIVE_INFINITY
    if (top.length === count && logit <= least) continue
    const at = top.findIndex((other) => (logits[other] ?? 0) < logit)
    top.splice(at < 0 ? top.length : at, 0, token)
    if (top.length > count) top.pop()
    least = logits[top.at(-1) ?? 0] ?? 0
  }
  return top
}

/** The logarithm of the sum of all exponentials, without overflow. */
function logOfSum(logits: Float32Array): number {
  let largest = Number.NEGATIVE_INFINITY
  for (const logit of logits) if (logit > largest) largest = logit
  let sum = 0
  for (const logit of logits) sum += Math.exp(logit - largest)
  return largest + Math.log(sum)
}

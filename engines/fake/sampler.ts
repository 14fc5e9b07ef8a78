/** Chooses the fake model's tokens: by its script, its logits, and the request's grammar. */
import type { EngineSampler, SamplerRequest } from '../types.ts'
import { holdTo } from './grammar.ts'
import { mix } from './kv.ts'
import { argmax, draw, onlyLetters } from './logits.ts'
import { type Script, scriptFor } from './script.ts'
import { endToken } from './vocabulary.ts'

/** Knows temperature, seed, bias and grammar; the other settings do not change its answers. */
export function createFakeSampler(
  { sampling, tokens, grammar = null, logitBias = [] }: SamplerRequest,
  rawLogits: () => Float32Array,
): EngineSampler {
  let state = mix(sampling.seed, 0x2545f491)
  const random = (): number => {
    state = mix(state + 0x6d2b79f5, state)
    return state / 2 ** 32
  }
  const logits = (): Float32Array => {
    const biased = rawLogits()
    for (const { token, bias } of logitBias) biased[token] = (biased[token] ?? 0) + bias
    return biased
  }
  const choose = (among: Float32Array): number =>
    sampling.temperature <= 0 ? argmax(among) : draw(among, sampling.temperature, random())
  const held = grammar === null ? null : holdTo(grammar)
  const script = scriptFor(tokens)
  let scripted = script === null ? null : follow(script, () => choose(onlyLetters(logits())))
  return {
    sample() {
      const step = scripted?.next()
      const wish = step === undefined || step.done ? null : step.value
      if (held === null) return wish ?? choose(logits())
      // A script that the grammar refuses once does not fit behind it any more.
      if (wish === null || !held.allows(wish)) scripted = null
      return held.take(scripted === null ? null : wish, logits, choose)
    },
    close() {},
  }
}

function* follow({ parts, ends }: Script, letter: () => number): Generator<number, undefined> {
  for (const part of parts) {
    if (typeof part === 'string') yield* Buffer.from(part)
    else for (let left = part.letters; left > 0; left -= 1) yield letter()
  }
  if (ends) yield endToken
}

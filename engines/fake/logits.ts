/** Next-token logits from the state of the KV, and a sampler for them. */
import type { EngineSampler, Sampling } from '../types.ts'
import { mix } from './kv.ts'
import type { Script } from './script.ts'
import { endToken } from './vocabulary.ts'

/** Mean length of an answer that ends by itself. */
const meanAnswerTokens = 96
/** First byte of two-byte characters: a token may be a part of a character. */
const leadByte = 0xc3
const letters = Buffer.from('etaoin shrdlucmfwypvbgkjqxz ,.')
const letterTokens = new Set(letters.filter((byte) => byte >= 0x61 && byte <= 0x7a))
const impossible = -30

/** Logits of the whole vocabulary; only a printable answer is likely. */
export function computeLogits(
  vocabularySize: number,
  digest: readonly [number, number],
  lastToken: number,
): Float32Array {
  const [low, high] = digest
  const logits = new Float32Array(vocabularySize).fill(impossible)
  const score = (token: number): number =>
    mix(low ^ Math.imul(token + 7, 0x9e3779b1), high) / 2 ** 29
  if (lastToken === leadByte) {
    for (let token = 0xa0; token <= 0xbf; token += 1) logits[token] = score(token)
    return logits
  }
  for (const token of letters) logits[token] = score(token)
  logits[leadByte] = score(leadByte)
  if (mix(high, low) % meanAnswerTokens === 0) logits[endToken] = 16
  return logits
}

/** Knows temperature and seed; the other settings do not change the fake's answers. */
export function createFakeSampler(
  sampling: Sampling,
  logits: () => Float32Array,
  script: Script | null,
): EngineSampler {
  let state = mix(sampling.seed, 0x2545f491)
  const random = (): number => {
    state = mix(state + 0x6d2b79f5, state)
    return state / 2 ** 32
  }
  const choose = (among: Float32Array): number =>
    sampling.temperature <= 0 ? argmax(among) : draw(among, sampling.temperature, random())
  const scripted = script === null ? null : follow(script, () => choose(onlyLetters(logits())))
  return {
    sample: () => {
      const step = scripted?.next()
      return step === undefined || step.done ? choose(logits()) : step.value
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

function onlyLetters(logits: Float32Array): Float32Array {
  return logits.map((logit, token) => (letterTokens.has(token) ? logit : impossible))
}

function argmax(logits: Float32Array): number {
  let best = 0
  for (let token = 1; token < logits.length; token += 1) {
    if ((logits[token] ?? 0) > (logits[best] ?? 0)) best = token
  }
  return best
}

function draw(logits: Float32Array, temperature: number, random: number): number {
  const top = logits[argmax(logits)] ?? 0
  const weights = logits.map((logit) => Math.exp((logit - top) / temperature))
  let left = random * weights.reduce((sum, weight) => sum + weight, 0)
  for (const [token, weight] of weights.entries()) {
    left -= weight
    if (left <= 0) return token
  }
  return argmax(logits)
}

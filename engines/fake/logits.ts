/** Next-token logits from the state of the KV, and how one token of them is chosen. */
import { mix } from './kv.ts'
import { endToken } from './vocabulary.ts'

/** Mean length of an answer that ends by itself. */
const meanAnswerTokens = 96
/** First byte of two-byte characters: a token may be a part of a character. */
const leadByte = 0xc3
const letters = Buffer.from('etaoin shrdlucmfwypvbgkjqxz ,.')
const letterTokens = new Set(letters.filter((byte) => byte >= 0x61 && byte <= 0x7a))
export const impossible = -30

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

/** All but letters are as good as impossible. */
export function onlyLetters(logits: Float32Array): Float32Array {
  return logits.map((logit, token) => (letterTokens.has(token) ? logit : impossible))
}

export function argmax(logits: Float32Array): number {
  let best = 0
  for (let token = 1; token < logits.length; token += 1) {
    if ((logits[token] ?? 0) > (logits[best] ?? 0)) best = token
  }
  return best
}

export function draw(logits: Float32Array, temperature: number, random: number): number {
  const top = logits[argmax(logits)] ?? 0
  const weights = logits.map((logit) => Math.exp((logit - top) / temperature))
  let left = random * weights.reduce((sum, weight) => sum + weight, 0)
  for (const [token, weight] of weights.entries()) {
    left -= weight
    if (left <= 0) return token
  }
  return argmax(logits)
}

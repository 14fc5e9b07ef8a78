/**
 * How the fake model follows a grammar. Where it has a choice, the arithmetic makes it, so that a
 * wrong restore gives another answer. Left to itself it would never close a string or a list: after
 * a few choices in a row it takes a step towards the nearest end, and in a long answer always.
 */
import { EngineError } from '../errors.ts'
import { parseGbnf } from '../gbnf.ts'
import { createMatcher } from '../gbnf-matcher.ts'
import { mix } from './kv.ts'
import { endToken, piece } from './vocabulary.ts'

const choicesInARow = 6
const choicesOfAnswer = 96
const byteTokens = 256

export interface Held {
  allows(token: number): boolean
  /** The wish where there is one, which must be allowed; otherwise what the grammar leaves. */
  take(
    wish: number | null,
    logits: () => Float32Array,
    choose: (among: Float32Array) => number,
  ): number
}

/** Throws GrammarError. */
export function holdTo(text: string): Held {
  const matcher = createMatcher(parseGbnf(text))
  let inARow = 0
  let ofAnswer = 0

  const missingBehind = (token: number): number | null => {
    if (token === endToken) return matcher.isComplete ? 0 : null
    return matcher.missingBehind(piece(token))
  }

  /** Tokens that may come next, with what is missing behind each. */
  const possible = (): Map<number, number> => {
    const found = new Map<number, number>()
    for (const token of [...Array(byteTokens).keys(), endToken]) {
      const missing = missingBehind(token)
      if (missing !== null) found.set(token, missing)
    }
    const plain = [...found].filter(([token]) => isPlain(token))
    return plain.length > 0 ? new Map(plain) : found
  }

  const choice = (
    logits: Float32Array,
    choose: (among: Float32Array) => number,
  ): number | undefined => {
    const all = possible()
    if (all.size < 2) return [...all.keys()][0]
    if (inARow >= choicesInARow || ofAnswer >= choicesOfAnswer) {
      inARow = 0
      return nearest(all)
    }
    inARow += 1
    ofAnswer += 1
    return choose(among(logits, [...all.keys()]))
  }

  return {
    allows: (token) => missingBehind(token) !== null,
    take(wish, logits, choose) {
      const token = wish ?? choice(logits(), choose)
      if (token === undefined) throw noWayOn()
      if (token !== endToken) matcher.accept(piece(token))
      return token
    },
  }
}

/** The end, or a printable character of one byte; others only where nothing else may come. */
const isPlain = (token: number): boolean => token === endToken || (token >= 0x20 && token < 0x7f)

function nearest(missing: ReadonlyMap<number, number>): number | undefined {
  const least = Math.min(...missing.values())
  // Of several the end comes last, and is the one to take.
  return [...missing].findLast(([, each]) => each === least)?.[0]
}

/** The arithmetic has an opinion on every byte here, not on letters alone. */
function among(logits: Float32Array, tokens: readonly number[]): Float32Array {
  const words = new Uint32Array(logits.buffer, logits.byteOffset, byteTokens)
  const state = words.reduce((sum, word) => mix(sum, word), 1)
  const scores = new Float32Array(logits.length).fill(Number.NEGATIVE_INFINITY)
  for (const token of tokens) {
    scores[token] = Math.max(logits[token] ?? 0, mix(state ^ token, state) / 2 ** 29)
  }
  return scores
}

const noWayOn = (): EngineError =>
  new EngineError('PREFIXD_E_ENGINE_GRAMMAR', 'The grammar allows no character here.')

/**
 * Which tokens a grammar allows where an answer stands. llama.cpp has a grammar sampler, which we
 * do not use: it hangs on some left recursion and on optional parts in a row, overflows its stack
 * on deep rules, and aborts the process when it is told of a token that it does not allow.
 */
import { EngineError } from './errors.ts'
import { parseGbnf } from './gbnf.ts'
import { type GrammarState, grammarStates } from './gbnf-states.ts'
import { heldTokensRemembered } from './limits.ts'
import { createTokenTrie, type TokenTrie } from './token-trie.ts'

/** The texts of a model's tokens, and which of them end an answer. */
export interface HeldVocabulary {
  readonly trie: TokenTrie
  readonly ends: readonly number[]
  piece(token: number): Uint8Array
}

export interface HeldTokens {
  allows(token: number): boolean
  /** All of them, in no order; ends among them where the text may end. */
  allowed(): Uint32Array
  /** Goes on behind a token that is allowed. */
  accept(token: number): void
}

/** Costs a call of `piece` for each token. */
export function heldVocabulary(
  size: number,
  piece: (token: number) => Uint8Array,
  isEnd: (token: number) => boolean,
): HeldVocabulary {
  const ends: number[] = []
  const texts: [number, Uint8Array][] = []
  for (let token = 0; token < size; token += 1) {
    if (isEnd(token)) ends.push(token)
    else texts.push([token, piece(token)])
  }
  return { trie: createTokenTrie(texts), ends, piece }
}

/** Throws GrammarError. */
export function holdTokens(grammar: string, vocabulary: HeldVocabulary): HeldTokens {
  const { trie, ends, piece } = vocabulary
  const states = grammarStates(parseGbnf(grammar))
  /** Answers come back to few states: in a text, every character to the same one. */
  const remembered = new Map<GrammarState, Uint32Array>()
  let state = states.start

  const behind = (token: number): GrammarState | null => {
    if (ends.includes(token)) return states.isComplete(state) ? state : null
    const bytes = piece(token)
    let next: GrammarState | null = bytes.length === 0 ? null : state
    for (const byte of bytes) next = next && states.behind(next, byte)
    return next
  }

  const find = (): Uint32Array => {
    const found: number[] = states.isComplete(state) ? [...ends] : []
    trie.walk(state, states.behind, (token) => found.push(token))
    return Uint32Array.from(found)
  }

  return {
    allows: (token) => behind(token) !== null,
    allowed() {
      const known = remembered.get(state)
      if (known !== undefined) return known
      if (remembered.size >= heldTokensRemembered) remembered.clear()
      const found = find()
      remembered.set(state, found)
      return found
    },
    accept(token) {
      const next = behind(token)
      if (next === null) throw notAllowed(token)
      state = next
      states.allowSteps()
    },
  }
}

const notAllowed = (token: number): EngineError =>
  new EngineError(
    'PREFIXD_E_ENGINE_GRAMMAR',
    `Token ${token} was taken, and the grammar does not allow it. Please report this defect.`,
  )

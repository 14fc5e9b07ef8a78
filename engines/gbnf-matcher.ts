/** Follows a text through a grammar, byte by byte: a token may end inside of a character. */
import type { Grammar } from './gbnf-rules.ts'
import { type GrammarState, grammarStates } from './gbnf-states.ts'

export interface GrammarMatcher {
  /** May these bytes come next? A character that they begin counts where one of its kind may. */
  allows(bytes: Uint8Array): boolean
  /**
   * Characters that must at least follow behind these bytes before the text may end; null where
   * they are not allowed, infinite where no end can be reached.
   */
  missingBehind(bytes: Uint8Array): number | null
  /** Goes on behind these bytes; throws where they are not allowed. */
  accept(bytes: Uint8Array): void
  /** May the text end here? */
  readonly isComplete: boolean
}

export function createMatcher(grammar: Grammar): GrammarMatcher {
  const states = grammarStates(grammar)
  let state = states.start

  const behind = (bytes: Uint8Array): GrammarState | null => {
    let next: GrammarState | null = state
    for (const byte of bytes) {
      if (next === null) return null
      next = states.behind(next, byte)
    }
    return next
  }

  return {
    allows: (bytes) => behind(bytes) !== null,
    missingBehind(bytes) {
      const next = behind(bytes)
      return next && states.missing(next)
    },
    accept(bytes) {
      const next = behind(bytes)
      if (next === null) throw new Error('the grammar does not allow this text')
      state = next
      states.allowSteps()
    },
    get isComplete() {
      return states.isComplete(state)
    },
  }
}

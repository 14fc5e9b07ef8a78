/** llama.cpp's grammar sampler, kept from what it hangs, aborts or dies of. */
import { EngineError } from '../errors.ts'
import { parseGbnf } from '../gbnf.ts'
import type { LlamaCalls } from './calls.ts'
import type { Pointer } from './structs.ts'

/** Throws PREFIXD_E_ENGINE_GRAMMAR. The sampler is the caller's to free. */
export function initGrammar(calls: LlamaCalls, vocabulary: Pointer, grammar: string): Pointer {
  // Left recursion through rules that may be empty hangs llama.cpp, deep nesting overflows its
  // stack: our own reader refuses both, and says where.
  parseGbnf(grammar)
  const sampler = calls.llama_sampler_init_grammar(vocabulary, grammar, 'root')
  if (sampler !== null) return sampler
  throw new EngineError(
    'PREFIXD_E_ENGINE_GRAMMAR',
    'llama.cpp does not take this grammar. Repeat less in it: about 2,000 symbols can be repeated.',
  )
}

/** No token of the vocabulary goes on where the answer stands, and it may not end there either. */
export const noWayOn = (): EngineError =>
  new EngineError(
    'PREFIXD_E_ENGINE_GRAMMAR',
    'No token of this model goes on where the answer stands in the grammar. Allow other ' +
      'characters there, or let the answer end.',
  )

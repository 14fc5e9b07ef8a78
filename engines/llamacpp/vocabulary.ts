/** Text to tokens and back, by the model's own tokenizer. */
import type { TokenIds } from '../../cache/types.ts'
import { EngineError } from '../errors.ts'
import { type HeldVocabulary, heldVocabulary } from '../held-tokens.ts'
import type { GapTokens, TokenizeOptions } from '../types.ts'
import type { LlamaCalls } from './calls.ts'
import type { Pointer } from './structs.ts'

export interface Vocabulary {
  readonly size: number
  readonly bosText: string
  readonly eosText: string
  readonly gap: GapTokens | null
  /** For grammars; made when it is first asked for. */
  held(): HeldVocabulary
  tokenize(text: string, options: TokenizeOptions): TokenIds
  piece(token: number): Uint8Array
  isEnd(token: number): boolean
}

export function openVocabulary(calls: LlamaCalls, model: Pointer): Vocabulary {
  const vocabulary = calls.llama_model_get_vocab(model)
  const size = calls.llama_vocab_n_tokens(vocabulary)
  const bos = calls.llama_vocab_bos(vocabulary)
  const addsBos = calls.llama_vocab_get_add_bos(vocabulary)
  const pieceBuffer = { bytes: new Uint8Array(256) }

  const piece = (token: number): Uint8Array => {
    checkToken(token, size)
    for (;;) {
      const { bytes } = pieceBuffer
      const written = calls.llama_token_to_piece(vocabulary, token, bytes, bytes.length, 0, true)
      if (written >= 0) return bytes.slice(0, written)
      // A negative answer is the size that is needed, so this loop turns at most twice.
      pieceBuffer.bytes = new Uint8Array(-written)
    }
  }
  const isEnd = (token: number): boolean => {
    checkToken(token, size)
    return calls.llama_vocab_is_eog(vocabulary, token)
  }
  let held: HeldVocabulary | null = null
  const textOf = (token: number): string =>
    token < 0 ? '' : new TextDecoder().decode(piece(token))

  return {
    size,
    bosText: textOf(bos),
    eosText: textOf(calls.llama_vocab_eos(vocabulary)),
    gap: gapOf(calls, vocabulary),
    piece,
    isEnd,
    held: () => {
      held ??= heldVocabulary(size, piece, isEnd)
      return held
    },
    tokenize: (text, { addSpecial, parseSpecial }) => {
      const utf8 = new TextEncoder().encode(text)
      // llama.cpp refuses a null pointer, which an empty array would be.
      const bytes = utf8.length === 0 ? new Uint8Array(1) : utf8
      let ids = new Int32Array(utf8.length + 8)
      const fill = (): number =>
        calls.llama_tokenize(
          vocabulary,
          bytes,
          utf8.length,
          ids,
          ids.length,
          addSpecial,
          parseSpecial,
        )
      let count = fill()
      if (count < 0) {
        ids = new Int32Array(-count)
        count = fill()
      }
      if (count < 0) {
        throw new EngineError(
          'PREFIXD_E_ENGINE_COMPUTE',
          `The tokenizer of the model could not read a text of ${utf8.length} bytes.`,
        )
      }
      // Templates write the beginning-of-text token out, and the tokenizer would add it again.
      const doubled = addSpecial && addsBos && count > 1 && ids[0] === bos && ids[1] === bos
      return Uint32Array.from(ids.subarray(doubled ? 1 : 0, count))
    },
  }
}

function gapOf(calls: LlamaCalls, vocabulary: Pointer): GapTokens | null {
  const prefix = calls.llama_vocab_fim_pre(vocabulary)
  const suffix = calls.llama_vocab_fim_suf(vocabulary)
  const middle = calls.llama_vocab_fim_mid(vocabulary)
  return Math.min(prefix, suffix, middle) < 0 ? null : { prefix, suffix, middle }
}

function checkToken(token: number, size: number): void {
  if (Number.isInteger(token) && token >= 0 && token < size) return
  throw new EngineError(
    'PREFIXD_E_ENGINE_COMPUTE',
    `Token ${token} is not in the vocabulary: ids are whole numbers from 0 to ${size - 1}.`,
  )
}

/**
 * One sequence of the context. It computes, imports and exports records, and checks after each step
 * what llama.cpp made of it. Only a plain memory can be cut back at will: for others a trim is
 * refused, and an aborted call empties the sequence unless its window happens to be whole still.
 */
import type { RecordKind, TokenIds } from '../../cache/types.ts'
import { EngineError } from '../errors.ts'
import type { ComputeResult, EngineSequence, RestoreRecord } from '../types.ts'
import { onPool } from './calls.ts'
import type { LlamaContext } from './context.ts'
import { kindsOf, recordBytesOf } from './memory-shape.ts'
import type { RecordMover } from './records.ts'
import { createSampler } from './sampler.ts'
import type { Vocabulary } from './vocabulary.ts'

/** What `llama_decode` returns. */
const decoded = 0
const noRoom = 1
const aborted = 2

export interface SequenceOptions {
  readonly llama: LlamaContext
  readonly id: number
  readonly vocabulary: Pick<Vocabulary, 'held' | 'size'>
  /** Null: this model's memory is not stored. */
  readonly mover: RecordMover | null
  /** Shall answers from whole blocks have the bits of cold ones? */
  readonly blockTokens: number | null
}

export function createSequence(options: SequenceOptions): EngineSequence {
  const { llama, id } = options
  const { size: vocabularySize, held: heldVocabulary } = options.vocabulary
  const { calls, context, memory } = llama
  let tokenCount = 0
  let computingTokens = 0
  // Imported bytes may hold NaN, which poison later requests of the whole context until they are
  // zeroed. Finite logits behind them prove that they do not.
  let suspect = false
  /** Kinds that the restored tokens need at their end, and that are not there yet. */
  let missing: readonly RecordKind[] = []

  const wipe = (): void => {
    llama.wipe()
    tokenCount = 0
    missing = []
    suspect = false
  }
  const failed = (code: string, message: string): EngineError => {
    wipe()
    return new EngineError(code, message)
  }
  const moverOf = (): RecordMover => {
    if (options.mover !== null) return options.mover
    throw new EngineError('PREFIXD_E_ENGINE_PROTOCOL', 'This model is served without cache.')
  }
  const recordBytes = (kind: RecordKind, from: number, to: number): number => {
    const { shape } = moverOf()
    const sizeBytes = 0 <= from && from < to ? recordBytesOf(shape, kind, from, to) : null
    if (sizeBytes !== null) return sizeBytes
    throw new EngineError(
      'PREFIXD_E_ENGINE_PROTOCOL',
      `There is no ${kind} record of tokens ${from} to ${to}: this model has ` +
        `${kindsOf[shape.memory].join(' and ')} records only.`,
    )
  }
  /** Cuts behind `count` tokens, where the memory still holds all that they need. */
  const cut = (count: number): boolean => {
    const { mover } = options
    if (count > 0 && (mover === null || mover.shape.stateBytes > 0)) return false
    if (!calls.llama_memory_seq_rm(memory, id, count, -1)) return false
    tokenCount = count
    missing = []
    llama.logitsOwner = null
    if (count === 0) return calls.llama_memory_seq_pos_max(memory, id) === -1
    return mover?.guardFault(id, count) === null
  }
  const logitsView = (): Float32Array => {
    if (llama.logitsOwner === id) return llama.logitsView(vocabularySize)
    throw new EngineError(
      'PREFIXD_E_ENGINE_PROTOCOL',
      'There are no logits behind the last token of this sequence; compute it with logits first.',
    )
  }
  const checkFinite = (): void => {
    // A NaN anywhere in the attended cells goes through the last norm into every logit.
    const logits = llama.logitsView(vocabularySize)
    const witnesses = [logits[0], logits[vocabularySize >> 1], logits[vocabularySize - 1]]
    if (witnesses.every((logit) => Number.isFinite(logit))) return
    throw failed(
      'PREFIXD_E_ENGINE_COMPUTE',
      'The engine computed logits that are not numbers. The sequence was cleared.',
    )
  }
  const checkComputable = (tokens: TokenIds): void => {
    const wrong = tokens.find((token) => token >= vocabularySize)
    const fits =
      tokens.length > 0 &&
      tokens.length <= llama.batch.capacityTokens &&
      tokenCount + tokens.length <= llama.contextTokens
    if (fits && wrong === undefined && computingTokens === 0) return
    throw new EngineError(
      'PREFIXD_E_ENGINE_COMPUTE',
      wrong !== undefined
        ? `Token ${wrong} is not in the vocabulary: ids go from 0 to ${vocabularySize - 1}.`
        : `Cannot compute ${tokens.length} tokens behind ${tokenCount}: one call takes 1 to ` +
            `${llama.batch.capacityTokens} tokens, the context holds ${llama.contextTokens}, ` +
            'and calls may not overlap.',
    )
  }

  const checkComplete = (): void => {
    if (missing.length === 0) return
    throw new EngineError(
      'PREFIXD_E_ENGINE_PROTOCOL',
      `The ${missing.join(' and ')} behind the ${tokenCount} tokens of the sequence is not ` +
        'restored; nothing can be computed or exported there.',
    )
  }

  /** A window that has begun to slide moves to where a restored one stands. */
  const reseatWindow = (exported?: Uint8Array): void => {
    const { mover } = options
    const windowTokens = mover?.shape.windowTokens ?? 0
    if (mover === null || windowTokens === 0 || tokenCount <= windowTokens) return
    const fault = mover.reseatWindow(id, exported)
    if (fault !== null) throw failed('PREFIXD_E_ENGINE_COMPUTE', `A window was lost: ${fault}.`)
  }

  const compute = async (tokens: TokenIds, wantLogits: boolean): Promise<ComputeResult> => {
    checkComputable(tokens)
    checkComplete()
    const batch = llama.batch.fill(tokens, tokenCount, id, wantLogits ? 'last' : 'none')
    llama.abortFlag.lower()
    llama.logitsOwner = null
    computingTokens = tokens.length
    let code: number
    try {
      code = await onPool(calls.llama_decode, context, batch)
    } finally {
      computingTokens = 0
    }
    if (code === decoded) {
      tokenCount += tokens.length
      if (options.blockTokens !== null && tokenCount % options.blockTokens === 0) reseatWindow()
      if (wantLogits) {
        checkFinite()
        suspect = false
        llama.logitsOwner = id
      }
      return 'ok'
    }
    if (code === aborted) {
      // Parts of the call may stand in the cells already.
      if (!cut(tokenCount)) wipe()
      return 'aborted'
    }
    throw failed(
      'PREFIXD_E_ENGINE_COMPUTE',
      code === noRoom
        ? `The context has no free cells for ${tokens.length} tokens. Try a larger --ctx.`
        : `llama_decode failed with code ${code}. The sequence was cleared.`,
    )
  }

  const importRecord = (record: RestoreRecord, bytes: Uint8Array): void => {
    const { kind, from, to, keepTo } = record
    const sizeBytes = recordBytes(kind, from, to)
    const mover = moverOf()
    const refuse = (words: string): EngineError =>
      failed(
        'PREFIXD_E_ENGINE_RESTORE',
        `The ${kind} record of tokens ${from} to ${to} cannot be restored: ${words}. ` +
          'The sequence was cleared.',
      )
    const isBoundary = kind !== 'kv'
    if (isBoundary ? to !== tokenCount : from !== tokenCount) {
      throw refuse(`the sequence holds ${tokenCount} tokens`)
    }
    if (keepTo <= from || keepTo > to || (isBoundary && keepTo < to)) {
      throw refuse(`it cannot be cut to end at ${keepTo}`)
    }
    if (to > llama.contextTokens) throw refuse(`the context holds ${llama.contextTokens} tokens`)
    if (bytes.byteLength !== sizeBytes) {
      throw refuse(`it has ${bytes.byteLength} bytes instead of ${sizeBytes}`)
    }
    suspect = true
    llama.logitsOwner = null
    const fault = mover.importInto(id, record, bytes)
    if (fault !== null) throw refuse(fault)
    tokenCount = keepTo
    missing = missingAfter(kind, kindsOf[mover.shape.memory])
    const incomplete = missing.length === 0 ? mover.guardFault(id, tokenCount) : null
    if (incomplete !== null) throw refuse(incomplete)
  }

  const missingAfter = (kind: RecordKind, kinds: readonly RecordKind[]): readonly RecordKind[] =>
    // The bytes of a window clear a state.
    kind === 'state' ? missing.filter((it) => it !== kind) : kinds.slice(kinds.indexOf(kind) + 1)

  const exportRecord = (kind: RecordKind, from: number, to: number, into: Uint8Array): void => {
    const sizeBytes = recordBytes(kind, from, to)
    const isThere = kind === 'kv' ? to <= tokenCount : to === tokenCount
    if (!isThere || into.byteLength !== sizeBytes) {
      throw new EngineError(
        'PREFIXD_E_ENGINE_PROTOCOL',
        `Cannot export ${kind} of tokens ${from} to ${to} of ${tokenCount} into ` +
          `${into.byteLength} bytes; the record takes ${sizeBytes}.`,
      )
    }
    if (kind !== 'kv') checkComplete()
    const writtenBytes = moverOf().exportFrom(id, { kind, from, to }, into)
    if (writtenBytes !== sizeBytes) {
      throw new EngineError(
        'PREFIXD_E_ENGINE_COMPUTE',
        `llama.cpp wrote ${writtenBytes} of ${sizeBytes} bytes of the ${kind} record ${from} ` +
          `to ${to}.`,
      )
    }
    // What follows here has the bits then that it has behind a restore.
    if (kind === 'window') reseatWindow(into)
  }

  return {
    get tokenCount() {
      return tokenCount
    },
    importRecord,
    compute,
    recordBytes,
    exportRecord,
    createSampler: (request) =>
      createSampler(
        { calls, context, heldVocabulary, vocabularySize, logits: logitsView },
        request,
      ),
    logits: () => logitsView().slice(),
    trim: (count) => {
      if (!Number.isInteger(count) || count < 0 || count > tokenCount) {
        throw new EngineError(
          'PREFIXD_E_ENGINE_PROTOCOL',
          `Cannot trim to ${count} tokens: 0 to ${tokenCount} are possible.`,
        )
      }
      const isPlain = options.mover?.shape.memory === 'kv'
      if (count === tokenCount || ((isPlain || count === 0) && cut(count))) return
      throw failed(
        'PREFIXD_E_ENGINE_COMPUTE',
        'This model cannot be cut back to fewer tokens; the sequence was cleared.',
      )
    },
    clear: () => {
      if (suspect || !cut(0)) wipe()
    },
    abort: () => {
      // One token is soon over, and a state that it has begun to change would be lost.
      if (computingTokens > 1) llama.abortFlag.raise()
    },
  }
}

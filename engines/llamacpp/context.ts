/** One `llama_context`: its memory, its batch, its abort flag, and who owns the logits in it. */
import koffi from 'koffi'
import { EngineError } from '../errors.ts'
import { type AbortFlag, installAbortFlag } from './abort-flag.ts'
import { type AttentionSettings, attentionParams } from './attention-settings.ts'
import { allocateBatch, type BatchMemory } from './batch.ts'
import { type LlamaCalls, onPool } from './calls.ts'
import { listenToErrors } from './error-log.ts'
import type { LlamaLibrary } from './library.ts'
import { type Rope, ropeParams } from './rope.ts'
import type { Pointer } from './structs.ts'

/**
 * Rows of one matrix multiplication. Calls are cut into these from the call's start; calls start
 * on the grid, and 256 and 512 were measured to give the same bits (reference E).
 */
const rowsPerGraph = 512

export interface ContextOptions {
  readonly rope: Rope
  readonly attention: AttentionSettings
  readonly threads: number
  readonly blockTokens: number
  /** Then a second sequence is there, through which they move. */
  readonly storesRecords: boolean
}

export interface LlamaContext {
  readonly calls: LlamaCalls
  readonly context: Pointer
  readonly memory: Pointer
  readonly batch: BatchMemory
  readonly abortFlag: AbortFlag
  readonly contextTokens: number
  /** The sequence through which records are imported and exported. */
  readonly movingSequence: number
  /** The sequence behind whose last token the logits stand; null: they are nobody's. */
  logitsOwner: number | null
  /** Logits of the last call that wanted some: a view that the next call overwrites. */
  logitsView(vocabularySize: number): Float32Array
  /** Empties every sequence and zeroes the bytes: stale NaN would leak into later requests. */
  wipe(): void
  free(): void
}

/**
 * Throws `PREFIXD_E_ENGINE_MODEL` when there is no memory for it, and `PREFIXD_E_ENGINE_SETTINGS`
 * where llama.cpp cannot keep this model's keys and values as the settings want them.
 */
export async function createContext(
  library: LlamaLibrary,
  model: Pointer,
  options: ContextOptions,
): Promise<LlamaContext> {
  const { calls } = library
  const batchTokens = Math.max(options.blockTokens, rowsPerGraph)
  const { contextTokens } = options.rope
  const sequences = options.storesRecords ? 2 : 1
  const params = {
    ...calls.llama_context_default_params(),
    ...ropeParams(options.rope),
    n_ctx: contextTokens,
    n_batch: batchTokens,
    n_ubatch: rowsPerGraph,
    n_seq_max: sequences,
    // Logits are asked of one token per call; more would reserve a row of the vocabulary for each.
    n_outputs_max: sequences,
    n_threads: options.threads,
    n_threads_batch: options.threads,
    ...attentionParams(options.attention),
    // Ranges of a sequence can be copied in a unified cache only; elsewhere that aborts.
    kv_unified: true,
    swa_full: false,
  }
  const context = await onPool(calls.llama_init_from_model, model, params)
  const memory = context === null ? null : calls.llama_get_memory(context)
  if (context === null || memory === null) {
    if (context !== null) calls.llama_free(context)
    const again = listenToErrors(library, () => calls.llama_init_from_model(model, params))
    if (again.result !== null) calls.llama_free(again.result)
    throw contextError(contextTokens, options.attention, again.firstError)
  }
  const batch = allocateBatch(batchTokens, sequences)
  const abortFlag = installAbortFlag(library, context)
  let view: { address: Pointer; logits: Float32Array } | null = null
  const self: LlamaContext = {
    calls,
    context,
    memory,
    batch,
    abortFlag,
    contextTokens,
    movingSequence: 1,
    logitsOwner: null,
    logitsView: (vocabularySize) => {
      const address = calls.llama_get_logits_ith(context, -1)
      if (address === null) {
        throw new EngineError('PREFIXD_E_ENGINE_COMPUTE', 'llama.cpp returned no logits.')
      }
      if (view === null || view.address !== address) {
        view = { address, logits: new Float32Array(koffi.view(address, vocabularySize * 4)) }
      }
      return view.logits
    },
    wipe: () => {
      calls.llama_memory_clear(memory, true)
      self.logitsOwner = null
    },
    free: () => {
      calls.llama_free(context)
      batch.free()
      abortFlag.free()
    },
  }
  return self
}

function contextError(
  contextTokens: number,
  { keys, values, flashAttention }: AttentionSettings,
  reason: string | null,
): EngineError {
  const words =
    `llama.cpp could not create a context of ${contextTokens} tokens for this model` +
    `${reason === null ? '' : ` ("${reason}")`}. `
  const isDefault = keys === 'f16' && values === 'f16' && flashAttention === 'on'
  if (!isDefault && /cache type|quantiz|flash/i.test(reason ?? '')) {
    return new EngineError(
      'PREFIXD_E_ENGINE_SETTINGS',
      `${words}Set --kv-type f16 and --flash-attention on.`,
    )
  }
  return new EngineError(
    'PREFIXD_E_ENGINE_MODEL',
    `${words}It may not fit into memory (try a smaller --ctx or fewer --sequences), ` +
      'or the model may not generate text.',
  )
}

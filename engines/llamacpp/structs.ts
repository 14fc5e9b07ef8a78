/**
 * The C structs of llama.cpp v0.4.0 and v0.5.0 (include/llama.h), and a check at start-up that the
 * loaded library means the same by them. Upstream inserts fields in the middle from time to time,
 * and a shifted field would be silent nonsense, so a mismatch is a refusal.
 */
import koffi, { type TypeObject } from 'koffi'
import { libraryError } from './library-folder.ts'

/** An address in the memory of this process. */
export type Pointer = bigint

export const modelParams = koffi.struct({
  devices: 'void *',
  tensor_buft_overrides: 'void *',
  n_gpu_layers: 'int32',
  split_mode: 'int32',
  load_mode: 'int32',
  lazy_mode: 'int32',
  main_gpu: 'int32',
  tensor_split: 'void *',
  progress_callback: 'void *',
  progress_callback_user_data: 'void *',
  kv_overrides: 'void *',
  vocab_only: 'bool',
  check_tensors: 'bool',
  use_extra_bufts: 'bool',
  no_host: 'bool',
  no_alloc: 'bool',
  load_mtp: 'bool',
})

export const contextParams = koffi.struct({
  n_ctx: 'uint32',
  n_batch: 'uint32',
  n_ubatch: 'uint32',
  n_seq_max: 'uint32',
  n_rs_seq: 'uint32',
  n_outputs_max: 'uint32',
  n_outputs_max_per_seq: 'uint32',
  n_threads: 'int32',
  n_threads_batch: 'int32',
  ctx_type: 'int32',
  rope_scaling_type: 'int32',
  pooling_type: 'int32',
  attention_type: 'int32',
  flash_attn_type: 'int32',
  rope_freq_base: 'float',
  rope_freq_scale: 'float',
  yarn_ext_factor: 'float',
  yarn_attn_factor: 'float',
  yarn_beta_fast: 'float',
  yarn_beta_slow: 'float',
  yarn_orig_ctx: 'uint32',
  defrag_thold: 'float',
  cb_eval: 'void *',
  cb_eval_user_data: 'void *',
  type_k: 'int32',
  type_v: 'int32',
  abort_callback: 'void *',
  abort_callback_data: 'void *',
  embeddings: 'bool',
  offload_kqv: 'bool',
  no_perf: 'bool',
  op_offload: 'bool',
  swa_full: 'bool',
  kv_unified: 'bool',
  samplers: 'void *',
  n_samplers: 'size_t',
  ctx_other: 'void *',
})

export const batchStruct = koffi.struct({
  n_tokens: 'int32',
  token: 'void *',
  embd: 'void *',
  pos: 'void *',
  n_seq_id: 'void *',
  seq_id: 'void *',
  logits: 'void *',
})

export const samplerChainParams = koffi.struct({ no_perf: 'bool' })

export type ModelParams = Record<string, number | boolean | Pointer | null>
export type ContextParams = Record<string, number | boolean | Pointer | null>

export interface Batch {
  readonly n_tokens: number
  readonly token: Pointer
  readonly embd: null
  readonly pos: Pointer
  readonly n_seq_id: Pointer
  readonly seq_id: Pointer
  readonly logits: Pointer
}

const sizesBytes: readonly (readonly [string, TypeObject, number])[] = [
  ['llama_model_params', modelParams, 80],
  ['llama_context_params', contextParams, 160],
  ['llama_batch', batchStruct, 56],
]

/** The defaults that tell the layouts apart: every run of equal-typed neighbours has a witness. */
const modelDefaults: ModelParams = {
  devices: null,
  n_gpu_layers: -1,
  split_mode: 1,
  load_mode: -1,
  lazy_mode: 1,
  main_gpu: 0,
  kv_overrides: null,
  vocab_only: false,
  check_tensors: false,
  use_extra_bufts: true,
  no_host: false,
  no_alloc: false,
  load_mtp: false,
}

const contextDefaults: ContextParams = {
  n_ctx: 512,
  n_batch: 2048,
  n_ubatch: 512,
  n_seq_max: 1,
  n_rs_seq: 0,
  n_outputs_max: 0,
  n_outputs_max_per_seq: 1,
  n_threads: 4,
  n_threads_batch: 4,
  ctx_type: 0,
  rope_scaling_type: -1,
  pooling_type: -1,
  attention_type: -1,
  flash_attn_type: -1,
  rope_freq_base: 0,
  rope_freq_scale: 0,
  yarn_ext_factor: -1,
  yarn_attn_factor: -1,
  yarn_beta_fast: -1,
  yarn_beta_slow: -1,
  yarn_orig_ctx: 0,
  defrag_thold: -1,
  cb_eval: null,
  type_k: 1,
  type_v: 1,
  abort_callback: null,
  embeddings: false,
  offload_kqv: true,
  no_perf: true,
  op_offload: true,
  swa_full: true,
  kv_unified: false,
  samplers: null,
  n_samplers: 0,
  ctx_other: null,
}

/** Throws `PREFIXD_E_ENGINE_LIBRARY` when the library's defaults are not those of the layouts. */
export function checkLayouts(model: ModelParams, context: ContextParams, path: string): void {
  for (const [name, type, bytes] of sizesBytes) {
    if (koffi.sizeof(type) !== bytes) {
      throw libraryError(`${name} has ${koffi.sizeof(type)} bytes on this platform, not ${bytes}.`)
    }
  }
  const differences = [
    ...different('llama_model_params', model, modelDefaults),
    ...different('llama_context_params', context, contextDefaults),
  ]
  if (differences.length > 0) {
    throw libraryError(
      `The libraries in ${path} lay out their settings in another way than the releases that ` +
        `prefixd knows (${differences.slice(0, 3).join('; ')}). Install the package version that ` +
        'prefixd names, or build a known release for the engine setting libraryDir.',
    )
  }
}

function different(struct: string, actual: ModelParams, expected: ModelParams): string[] {
  return Object.entries(expected)
    .filter(([field, value]) => actual[field] !== value)
    .map(([field, value]) => `${struct}.${field} is ${actual[field]} instead of ${value}`)
}

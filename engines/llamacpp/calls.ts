/** The C functions of libllama and libggml that this engine calls, under their own names. */
import koffi, { type KoffiFunc, type LibraryHandle, type TypeObject } from 'koffi'
import {
  type Batch,
  batchStruct,
  type ContextParams,
  contextParams,
  type ModelParams,
  modelParams,
  type Pointer,
  samplerChainParams,
} from './structs.ts'

type Type = string | TypeObject
type Bytes = Uint8Array | null
/** A `size_t` or `uint64_t` result: koffi gives a number where it is exact. */
type Size = number | bigint

interface Signatures {
  llama_backend_init: () => void
  llama_log_set: (callback: Pointer | null, userData: Pointer | null) => void
  llama_print_system_info: () => string
  llama_model_default_params: () => ModelParams
  llama_context_default_params: () => ContextParams
  llama_model_load_from_file: (path: string, params: ModelParams) => Pointer | null
  llama_model_free: (model: Pointer) => void
  llama_init_from_model: (model: Pointer, params: ContextParams) => Pointer | null
  llama_free: (context: Pointer) => void
  llama_get_memory: (context: Pointer) => Pointer | null
  llama_n_ctx: (context: Pointer) => number
  llama_set_abort_callback: (context: Pointer, callback: Pointer, data: Pointer) => void
  llama_model_get_vocab: (model: Pointer) => Pointer
  llama_model_n_ctx_train: (model: Pointer) => number
  llama_model_n_swa: (model: Pointer) => number
  llama_model_rope_type: (model: Pointer) => number
  llama_model_n_embd_out: (model: Pointer) => number
  llama_model_n_params: (model: Pointer) => Size
  llama_model_size: (model: Pointer) => Size
  llama_model_has_encoder: (model: Pointer) => boolean
  llama_model_has_decoder: (model: Pointer) => boolean
  llama_model_is_recurrent: (model: Pointer) => boolean
  llama_model_is_hybrid: (model: Pointer) => boolean
  llama_model_is_diffusion: (model: Pointer) => boolean
  llama_model_meta_val_str: (model: Pointer, key: string, into: Bytes, size: number) => number
  llama_model_chat_template: (model: Pointer, name: string | null) => string | null
  llama_adapter_lora_init: (model: Pointer, path: string) => Pointer | null
  llama_adapter_get_alora_n_invocation_tokens: (adapter: Pointer) => Size
  llama_set_adapters_lora: (
    context: Pointer,
    adapters: BigUint64Array,
    count: number,
    scales: Float32Array,
  ) => number
  llama_memory_clear: (memory: Pointer, data: boolean) => void
  llama_memory_seq_rm: (memory: Pointer, sequence: number, from: number, to: number) => boolean
  llama_memory_seq_cp: (
    memory: Pointer,
    source: number,
    target: number,
    from: number,
    to: number,
  ) => void
  llama_memory_seq_pos_min: (memory: Pointer, sequence: number) => number
  llama_memory_seq_pos_max: (memory: Pointer, sequence: number) => number
  llama_state_seq_get_size_ext: (context: Pointer, sequence: number, flags: number) => Size
  llama_state_seq_get_data_ext: (
    context: Pointer,
    into: Uint8Array,
    size: number,
    sequence: number,
    flags: number,
  ) => Size
  llama_state_seq_set_data_ext: (
    context: Pointer,
    from: Uint8Array,
    size: number,
    sequence: number,
    flags: number,
  ) => Size
  llama_decode: (context: Pointer, batch: Batch) => number
  llama_encode: (context: Pointer, batch: Batch) => number
  llama_get_embeddings: (context: Pointer) => Pointer | null
  llama_get_embeddings_seq: (context: Pointer, sequence: number) => Pointer | null
  llama_get_logits_ith: (context: Pointer, index: number) => Pointer | null
  llama_vocab_n_tokens: (vocabulary: Pointer) => number
  llama_vocab_is_eog: (vocabulary: Pointer, token: number) => boolean
  llama_vocab_bos: (vocabulary: Pointer) => number
  llama_vocab_eos: (vocabulary: Pointer) => number
  /** -1 where the vocabulary has none; so the two below. */
  llama_vocab_fim_pre: (vocabulary: Pointer) => number
  llama_vocab_fim_suf: (vocabulary: Pointer) => number
  llama_vocab_fim_mid: (vocabulary: Pointer) => number
  llama_vocab_get_add_bos: (vocabulary: Pointer) => boolean
  llama_tokenize: (
    vocabulary: Pointer,
    text: Uint8Array,
    textBytes: number,
    into: Int32Array,
    capacity: number,
    addSpecial: boolean,
    parseSpecial: boolean,
  ) => number
  llama_token_to_piece: (
    vocabulary: Pointer,
    token: number,
    into: Uint8Array,
    capacity: number,
    strip: number,
    special: boolean,
  ) => number
  llama_sampler_chain_init: (params: { no_perf: boolean }) => Pointer
  llama_sampler_chain_add: (chain: Pointer, sampler: Pointer) => void
  llama_sampler_init_greedy: () => Pointer
  llama_sampler_init_dist: (seed: number) => Pointer
  llama_sampler_init_top_k: (k: number) => Pointer
  llama_sampler_init_top_p: (p: number, minKeep: number) => Pointer
  llama_sampler_init_min_p: (p: number, minKeep: number) => Pointer
  llama_sampler_init_temp: (temperature: number) => Pointer
  llama_sampler_init_penalties: (
    vocabularySize: number,
    lastN: number,
    repeat: number,
    frequency: number,
    presence: number,
  ) => Pointer
  llama_sampler_init_logit_bias: (
    vocabularySize: number,
    count: number,
    biases: Uint8Array,
  ) => Pointer
  llama_sampler_accept: (sampler: Pointer, token: number) => void
  llama_sampler_apply: (sampler: Pointer, candidates: Pointer) => void
  llama_sampler_sample: (sampler: Pointer, context: Pointer, index: number) => number
  llama_sampler_free: (sampler: Pointer) => void
}

export type LlamaCalls = {
  readonly [Name in keyof Signatures]: KoffiFunc<Signatures[Name]>
}

const pointer = 'void *'

const prototypes: Readonly<Record<keyof Signatures, readonly [Type, readonly Type[]]>> = {
  llama_backend_init: ['void', []],
  llama_log_set: ['void', [pointer, pointer]],
  llama_print_system_info: ['str', []],
  llama_model_default_params: [modelParams, []],
  llama_context_default_params: [contextParams, []],
  llama_model_load_from_file: [pointer, ['str', modelParams]],
  llama_model_free: ['void', [pointer]],
  llama_init_from_model: [pointer, [pointer, contextParams]],
  llama_free: ['void', [pointer]],
  llama_get_memory: [pointer, [pointer]],
  llama_n_ctx: ['uint32', [pointer]],
  llama_set_abort_callback: ['void', [pointer, pointer, pointer]],
  llama_model_get_vocab: [pointer, [pointer]],
  llama_model_n_ctx_train: ['int32', [pointer]],
  llama_model_n_swa: ['int32', [pointer]],
  llama_model_rope_type: ['int32', [pointer]],
  llama_model_n_embd_out: ['int32', [pointer]],
  llama_model_n_params: ['uint64', [pointer]],
  llama_model_size: ['uint64', [pointer]],
  llama_model_has_encoder: ['bool', [pointer]],
  llama_model_has_decoder: ['bool', [pointer]],
  llama_model_is_recurrent: ['bool', [pointer]],
  llama_model_is_hybrid: ['bool', [pointer]],
  llama_model_is_diffusion: ['bool', [pointer]],
  llama_model_meta_val_str: ['int32', [pointer, 'str', pointer, 'size_t']],
  llama_model_chat_template: ['str', [pointer, 'str']],
  llama_adapter_lora_init: [pointer, [pointer, 'str']],
  llama_adapter_get_alora_n_invocation_tokens: ['uint64', [pointer]],
  llama_set_adapters_lora: ['int32', [pointer, pointer, 'size_t', pointer]],
  llama_memory_clear: ['void', [pointer, 'bool']],
  llama_memory_seq_rm: ['bool', [pointer, 'int32', 'int32', 'int32']],
  llama_memory_seq_cp: ['void', [pointer, 'int32', 'int32', 'int32', 'int32']],
  llama_memory_seq_pos_min: ['int32', [pointer, 'int32']],
  llama_memory_seq_pos_max: ['int32', [pointer, 'int32']],
  llama_state_seq_get_size_ext: ['size_t', [pointer, 'int32', 'uint32']],
  llama_state_seq_get_data_ext: ['size_t', [pointer, pointer, 'size_t', 'int32', 'uint32']],
  llama_state_seq_set_data_ext: ['size_t', [pointer, pointer, 'size_t', 'int32', 'uint32']],
  llama_decode: ['int32', [pointer, batchStruct]],
  llama_encode: ['int32', [pointer, batchStruct]],
  llama_get_embeddings: [pointer, [pointer]],
  llama_get_embeddings_seq: [pointer, [pointer, 'int32']],
  llama_get_logits_ith: [pointer, [pointer, 'int32']],
  llama_vocab_n_tokens: ['int32', [pointer]],
  llama_vocab_is_eog: ['bool', [pointer, 'int32']],
  llama_vocab_bos: ['int32', [pointer]],
  llama_vocab_eos: ['int32', [pointer]],
  llama_vocab_fim_pre: ['int32', [pointer]],
  llama_vocab_fim_suf: ['int32', [pointer]],
  llama_vocab_fim_mid: ['int32', [pointer]],
  llama_vocab_get_add_bos: ['bool', [pointer]],
  llama_tokenize: ['int32', [pointer, pointer, 'int32', pointer, 'int32', 'bool', 'bool']],
  llama_token_to_piece: ['int32', [pointer, 'int32', pointer, 'int32', 'int32', 'bool']],
  llama_sampler_chain_init: [pointer, [samplerChainParams]],
  llama_sampler_chain_add: ['void', [pointer, pointer]],
  llama_sampler_init_greedy: [pointer, []],
  llama_sampler_init_dist: [pointer, ['uint32']],
  llama_sampler_init_top_k: [pointer, ['int32']],
  llama_sampler_init_top_p: [pointer, ['float', 'size_t']],
  llama_sampler_init_min_p: [pointer, ['float', 'size_t']],
  llama_sampler_init_temp: [pointer, ['float']],
  llama_sampler_init_penalties: [pointer, ['int32', 'int32', 'float', 'float', 'float']],
  llama_sampler_init_logit_bias: [pointer, ['int32', 'int32', pointer]],
  llama_sampler_accept: ['void', [pointer, 'int32']],
  llama_sampler_apply: ['void', [pointer, pointer]],
  llama_sampler_sample: ['int32', [pointer, pointer, 'int32']],
  llama_sampler_free: ['void', [pointer]],
}

/** Throws koffi's own error when the library lacks one of the functions. */
export function bindLlama(library: LibraryHandle): LlamaCalls {
  const bound = Object.entries(prototypes).map(([name, [result, parameters]]) => [
    name,
    library.func(name, result, [...parameters]),
  ])
  return Object.fromEntries(bound) as LlamaCalls
}

/** Runs one call on a thread of libuv's pool, so that frames and aborts are heard meanwhile. */
export function onPool<Arguments extends readonly unknown[], Result>(
  call: { async: (...withCallback: [...Arguments, (e: unknown, r: Result) => void]) => void },
  ...values: Arguments
): Promise<Result> {
  return new Promise((resolve, reject) => {
    call.async(...values, (error: unknown, result: Result) =>
      error === null || error === undefined ? resolve(result) : reject(error),
    )
  })
}

export interface GgmlCalls {
  readonly loadBackends: (folder: string) => void
  /** One entry per device that a backend offers; `type` 0 is the CPU. */
  readonly devices: () => readonly { name: string; description: string; type: number }[]
}

export function bindGgml(ggml: LibraryHandle, base: LibraryHandle): GgmlCalls {
  const loadBackends = ggml.func('ggml_backend_load_all_from_path', 'void', ['str'])
  const count = ggml.func('ggml_backend_dev_count', 'size_t', [])
  const get = ggml.func('ggml_backend_dev_get', pointer, ['size_t'])
  const name = base.func('ggml_backend_dev_name', 'str', [pointer])
  const description = base.func('ggml_backend_dev_description', 'str', [pointer])
  const type = base.func('ggml_backend_dev_type', 'int32', [pointer])
  return {
    loadBackends: (folder) => loadBackends(folder),
    devices: () =>
      Array.from({ length: Number(count()) }, (_, index) => {
        const device = get(index) as Pointer
        return { name: name(device), description: description(device), type: type(device) }
      }),
  }
}

/** `ggml_log_callback`: level (4 is an error), text, user data. */
export const logCallback = koffi.pointer(koffi.proto('void', ['int', 'str', pointer]))

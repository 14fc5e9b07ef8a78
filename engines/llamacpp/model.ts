/** Loads a GGUF file with llama.cpp and serves it as an `EngineModel`. */
import { stat } from 'node:fs/promises'
import type { Layout } from '../../cache/types.ts'
import { EngineError } from '../errors.ts'
import type {
  EmbeddingInfo,
  EngineModel,
  EngineSequence,
  ModelDescription,
  WorkerOptions,
} from '../types.ts'
import { type Adapters, loadAdapters, readAdapterFiles } from './adapters.ts'
import { memoryOf } from './architecture.ts'
import { type AttentionSettings, readAttention } from './attention-settings.ts'
import { type LlamaCalls, onPool } from './calls.ts'
import { createContext, type LlamaContext } from './context.ts'
import { createEmbedder, type Embedder, type PoolingFacts, poolingOf } from './embedding.ts'
import { fingerprintOf } from './fingerprint.ts'
import { type LlamaLibrary, loadLibrary } from './library.ts'
import { explainLoadFailure, loadFailureWords } from './load-failure.ts'
import { measureMemory } from './measure-memory.ts'
import { layoutOf, type MemoryShape } from './memory-shape.ts'
import { createRecordMover } from './records.ts'
import { planRope, type Rope, type RopeFacts, readRopeScaling, ropeWords } from './rope.ts'
import { createSequence, type SequenceOptions } from './sequence.ts'
import type { Pointer } from './structs.ts'
import { chatTemplate } from './template.ts'
import { openVocabulary, type Vocabulary } from './vocabulary.ts'

/**
 * Loads libraries and weights (seconds; most of it on libuv's pool). Throws
 * `PREFIXD_E_ENGINE_LIBRARY`, `PREFIXD_E_ENGINE_MODEL` or, where a setting and this model do not go
 * together, `PREFIXD_E_ENGINE_SETTINGS`; all are final for these options.
 */
export async function loadModel(
  options: WorkerOptions,
  progress: (fraction: number) => void,
): Promise<EngineModel> {
  const { libraryDir } = options.engine
  const ropeScaling = readRopeScaling(options.engine.ropeScaling)
  const attention = readAttention(options.engine)
  const adapterFiles = readAdapterFiles(options.engine.lora)
  const library = loadLibrary(typeof libraryDir === 'string' ? libraryDir : null)
  const { calls } = library
  progress(0)
  const model = await loadWeights(library, options.modelPath)
  const contexts: LlamaContext[] = []
  try {
    const facts = readFacts(calls, model)
    checkGenerates(calls, model, facts.architecture)
    checkOptions(options)
    const vocabulary = openVocabulary(calls, model)
    const adapters = await loadAdapters(library, model, adapterFiles)
    const shared = { library, options, facts, vocabulary, attention, adapters }
    const pooling = poolingOf(facts)
    if (pooling !== null) return await loadEmbedder(model, pooling, shared)
    const rope = planRope(options.contextTokens, ropeScaling, facts)
    const windowTokens = calls.llama_model_n_swa(model)
    const choice = memoryOf({
      name: facts.architecture,
      windowTokens,
      recurrent: calls.llama_model_is_recurrent(model),
      hybrid: calls.llama_model_is_hybrid(model),
    })
    const { threads, blockTokens } = options
    const storesRecords = choice.memory !== null
    const openContext = async (): Promise<LlamaContext> => {
      const context = { rope, attention, threads, blockTokens, storesRecords }
      const llama = await createContext(library, model, context)
      contexts.push(llama)
      adapters.apply(llama.context)
      return llama
    }
    const first = await openContext()
    const { mover, refusal } =
      choice.memory === null
        ? { mover: null, refusal: choice.refusal }
        : measureMemory(first, { ...choice, windowTokens, ropeType: facts.ropeType })
    while (contexts.length < options.sequences) await openContext()
    progress(1)
    const layout = layoutOf(mover?.shape ?? null, refusal)
    const transposedValues = mover?.shape.transposedValues ?? attention.flashAttention === 'off'
    const hasRows = choice.memory !== 'recurrent'
    const info = describe({ ...shared, layout, transposedValues, hasRows, rope, embedding: null })
    const gridTokens = options.reuse === 'block' ? blockTokens : null
    const storage = { shape: mover?.shape ?? null, blockTokens: gridTokens }
    return serve(model, contexts, vocabulary, info, storage)
  } catch (error) {
    for (const llama of contexts) llama.free()
    calls.llama_model_free(model)
    throw error
  }
}

async function loadEmbedder(
  model: Pointer,
  pooling: EmbeddingInfo['pooling'],
  shared: Omit<Described, 'layout' | 'transposedValues' | 'hasRows' | 'rope' | 'embedding'>,
): Promise<EngineModel> {
  const { library, options, facts, vocabulary } = shared
  if (shared.adapters.words !== 'none') {
    throw settingsError(
      'This model makes vectors, for which adapters are not applied. Unset --lora.',
    )
  }
  // Beyond its training a vector would be of no use, whatever the rope does.
  const rope = planRope(options.contextTokens, 'none', facts)
  const embedder = await createEmbedder(library, model, {
    pooling,
    seesAhead: facts.seesAhead,
    contextTokens: rope.contextTokens,
    threads: options.threads,
  })
  const info = describe({
    ...shared,
    layout: layoutOf(null, 'It makes vectors of texts, and nothing of them is stored.'),
    transposedValues: false,
    hasRows: false,
    rope,
    embedding: { size: embedder.size, pooling },
  })
  return serveVectors(library.calls, model, embedder, vocabulary, info)
}

function serveVectors(
  calls: LlamaCalls,
  model: Pointer,
  embedder: Embedder,
  { tokenize, piece, isEnd }: Vocabulary,
  info: ModelDescription,
): EngineModel {
  const refuse = (): never => {
    throw new EngineError('PREFIXD_E_ENGINE_PROTOCOL', 'This model makes vectors, and no text.')
  }
  return {
    info,
    render: refuse,
    tokenize,
    piece,
    isEnd,
    openSequence: refuse,
    embed: embedder.embed,
    close: async () => {
      embedder.free()
      calls.llama_model_free(model)
    },
  }
}

/**
 * Each sequence has a context of its own. In one context they would share cells, and where a
 * sequence's cells lie changes the bits that are computed; a failure would empty all of them.
 */
function serve(
  model: Pointer,
  contexts: readonly LlamaContext[],
  vocabulary: Vocabulary,
  info: ModelDescription,
  storage: Pick<SequenceOptions, 'blockTokens'> & { readonly shape: MemoryShape | null },
): EngineModel {
  const { calls } = contexts[0] as LlamaContext
  const render = chatTemplate({
    standard: calls.llama_model_chat_template(model, null),
    toolUse: calls.llama_model_chat_template(model, 'tool_use'),
    bosText: vocabulary.bosText,
    eosText: vocabulary.eosText,
  })
  const { shape, blockTokens } = storage
  const unused = [...contexts]
  const openSequence = (): EngineSequence => {
    const llama = unused.shift()
    if (llama === undefined) {
      throw new EngineError(
        'PREFIXD_E_ENGINE_PROTOCOL',
        `All sequences of the model (${contexts.length}) are open; clear one and use it again.`,
      )
    }
    const mover = shape === null ? null : createRecordMover(llama, shape)
    return createSequence({ llama, id: 0, vocabulary, mover, blockTokens })
  }
  let open = true
  return {
    info,
    render,
    tokenize: vocabulary.tokenize,
    piece: vocabulary.piece,
    isEnd: vocabulary.isEnd,
    openSequence,
    embed: async () => {
      throw new EngineError('PREFIXD_E_ENGINE_PROTOCOL', 'This model makes text, and no vectors.')
    },
    close: async () => {
      if (!open) return
      open = false
      for (const llama of contexts) llama.free()
      calls.llama_model_free(model)
    },
  }
}

async function loadWeights(library: LlamaLibrary, modelPath: string): Promise<Pointer> {
  const failed = (words: string): EngineError =>
    new EngineError('PREFIXD_E_ENGINE_MODEL', `Cannot load the model ${modelPath}: ${words}`)
  const status = await stat(modelPath).catch(() => null)
  if (status === null) throw failed('there is no such file. Pull it, or correct the path.')
  if (!status.isFile()) throw failed('it is not a file. Name a GGUF file.')
  const { calls } = library
  const params = calls.llama_model_default_params()
  const model = await onPool(calls.llama_model_load_from_file, modelPath, params)
  if (model !== null) return model
  throw failed(loadFailureWords(explainLoadFailure(library, modelPath), library.release))
}

interface ModelFacts extends RopeFacts, PoolingFacts {
  readonly parameterCount: number
  readonly weightsBytes: number
  readonly chatTemplate: string | null
  /** `rope.scaling.original_context_length`, where long contexts are scaled; else null. */
  readonly ropeOriginalTokens: number | null
}

function readFacts(calls: LlamaCalls, model: Pointer): ModelFacts {
  const architecture = metadata(calls, model, 'general.architecture') ?? 'unknown'
  const original = metadata(calls, model, `${architecture}.rope.scaling.original_context_length`)
  const ownScaling = metadata(calls, model, `${architecture}.rope.scaling.type`)
  // Models with two sets of factors name no type.
  const longRope = original === null ? null : 'longrope'
  return {
    architecture,
    trainedContextTokens: calls.llama_model_n_ctx_train(model),
    ropeType: calls.llama_model_rope_type(model),
    ownScaling: ownScaling === 'none' || ownScaling === null ? longRope : ownScaling,
    poolingType: metadata(calls, model, `${architecture}.pooling_type`),
    seesAhead: metadata(calls, model, `${architecture}.attention.causal`) === 'false',
    parameterCount: Number(calls.llama_model_n_params(model)),
    weightsBytes: Number(calls.llama_model_size(model)),
    chatTemplate:
      calls.llama_model_chat_template(model, 'tool_use') ??
      calls.llama_model_chat_template(model, null),
    ropeOriginalTokens: original === null ? null : Number(original),
  }
}

/** A short scalar of the file's metadata; null where there is none. */
function metadata(calls: LlamaCalls, model: Pointer, key: string): string | null {
  const into = new Uint8Array(256)
  const length = calls.llama_model_meta_val_str(model, key, into, into.length)
  return length < 0 ? null : new TextDecoder().decode(into.subarray(0, Math.min(length, 255)))
}

function checkGenerates(calls: LlamaCalls, model: Pointer, architecture: string): void {
  const generates =
    calls.llama_model_has_decoder(model) &&
    !calls.llama_model_has_encoder(model) &&
    !calls.llama_model_is_diffusion(model)
  if (generates) return
  throw new EngineError(
    'PREFIXD_E_ENGINE_MODEL',
    `A model of architecture ${architecture} does not write text token by token. ` +
      'Use a decoder-only model.',
  )
}

function checkOptions(options: WorkerOptions): void {
  const { contextTokens, sequences, threads } = options
  if (!Number.isInteger(contextTokens) || contextTokens < 0) {
    throw settingsError(
      `contextTokens is ${contextTokens}; 0 takes what the model was trained for.`,
    )
  }
  if (!Number.isInteger(sequences) || sequences < 1) {
    throw settingsError(`sequences is ${sequences}; at least 1 is needed. Set --sequences.`)
  }
  if (!Number.isInteger(threads) || threads < 1) {
    throw settingsError(`threads is ${threads}; at least 1 is needed. Set --threads.`)
  }
}

function settingsError(message: string): EngineError {
  return new EngineError('PREFIXD_E_ENGINE_SETTINGS', message)
}

interface Described {
  readonly library: LlamaLibrary
  readonly options: WorkerOptions
  readonly facts: ModelFacts
  readonly vocabulary: Vocabulary
  readonly attention: AttentionSettings
  readonly adapters: Adapters
  readonly layout: Layout
  /** What became of `auto`. */
  readonly transposedValues: boolean
  /** Does it keep keys and values, whose types change what is stored? */
  readonly hasRows: boolean
  readonly rope: Rope
  readonly embedding: EmbeddingInfo | null
}

function describe(described: Described): ModelDescription {
  const { library, options, facts, vocabulary, attention, layout, rope, embedding } = described
  const accelerators = library.ggml.devices().filter((device) => device.type !== 0)
  const devices = accelerators.map((device) => `${device.name} (${device.description})`).join(', ')
  const threadWords = options.threads === 1 ? '1 thread' : `${options.threads} threads`
  const { ropeOriginalTokens } = facts
  return {
    fingerprint: fingerprintOf({
      release: library.release,
      origin: library.origin,
      architecture: facts.architecture,
      kernels: library.calls.llama_print_system_info().trim(),
      device: devices || 'CPU',
      ropeReach:
        ropeOriginalTokens === null
          ? null
          : rope.contextTokens > ropeOriginalTokens
            ? 'extended'
            : 'original',
      rope: ropeWords(rope),
      kvTypes: described.hasRows ? `${attention.keys}/${attention.values}` : 'none',
      flashAttention: !described.transposedValues,
      adapters: described.adapters.words,
      rotationDisabled: process.env.LLAMA_ATTN_ROT_DISABLE,
    }),
    layout,
    contextTokens: rope.contextTokens,
    trainedContextTokens: facts.trainedContextTokens,
    vocabularySize: vocabulary.size,
    parameterCount: facts.parameterCount,
    weightsBytes: facts.weightsBytes,
    generates: embedding === null,
    embedding,
    sequences: embedding === null ? options.sequences : 1,
    hasChatTemplate: facts.chatTemplate !== null,
    chatTemplate: facts.chatTemplate,
    gap: vocabulary.gap,
    device: devices || `CPU, ${threadWords}`,
  }
}

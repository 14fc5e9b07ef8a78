/** Vectors of texts, by models that were made for it: a context of its own kind. */
import koffi from 'koffi'
import { EngineError } from '../errors.ts'
import type { EmbeddingInfo } from '../types.ts'
import { allocateBatch } from './batch.ts'
import { onPool } from './calls.ts'
import type { LlamaLibrary } from './library.ts'
import type { Pointer } from './structs.ts'

/** `enum llama_pooling_type`, as `<architecture>.pooling_type` has it. */
const poolings: Readonly<Record<string, EmbeddingInfo['pooling']>> = {
  1: 'mean',
  2: 'cls',
  3: 'last',
}
const noPooling = '0'

export interface PoolingFacts {
  readonly architecture: string
  /** `<architecture>.pooling_type`; null where the file says nothing. */
  readonly poolingType: string | null
  /** `<architecture>.attention.causal` is false: tokens see what follows them. */
  readonly seesAhead: boolean
}

/**
 * Null: a model that writes text. Throws `PREFIXD_E_ENGINE_MODEL` for those that do neither, and
 * for encoders that do not say how they make one vector: a guess would give useless ones.
 */
export function poolingOf(facts: PoolingFacts): EmbeddingInfo['pooling'] | null {
  const { architecture, poolingType, seesAhead } = facts
  if (!seesAhead && (poolingType === null || poolingType === noPooling)) return null
  const pooling = poolings[poolingType ?? noPooling]
  if (pooling !== undefined) return pooling
  throw new EngineError(
    'PREFIXD_E_ENGINE_MODEL',
    `A model of architecture ${architecture} with pooling type ${poolingType ?? 'unknown'} ` +
      'neither writes text nor makes one vector of a text. Use a file with ' +
      `${architecture}.pooling_type 1 (mean), 2 (cls) or 3 (last).`,
  )
}

export interface Embedder {
  readonly size: number
  /** Rejects with `PREFIXD_E_ENGINE_COMPUTE`. */
  embed(tokens: Uint32Array): Promise<Float32Array>
  free(): void
}

export interface EmbedderOptions {
  readonly pooling: EmbeddingInfo['pooling']
  readonly seesAhead: boolean
  readonly contextTokens: number
  readonly threads: number
}

/**
 * Rows of one call where a text can go through in pieces. llama.cpp computes the logits of every
 * row, though nobody wants them: 8,192 rows of a vocabulary of 150,000 took 9.8 GB.
 */
const rowsPerPiece = 512

/** Throws `PREFIXD_E_ENGINE_MODEL` when there is no memory for it. */
export async function createEmbedder(
  { calls }: LlamaLibrary,
  model: Pointer,
  { pooling, seesAhead, contextTokens, threads }: EmbedderOptions,
): Promise<Embedder> {
  // Where tokens see what follows them a text goes through as a whole, and llama.cpp pools it.
  const rows = seesAhead ? contextTokens : Math.min(rowsPerPiece, contextTokens)
  const context = await onPool(calls.llama_init_from_model, model, {
    ...calls.llama_context_default_params(),
    n_ctx: contextTokens,
    n_batch: rows,
    n_ubatch: rows,
    n_seq_max: 1,
    n_threads: threads,
    n_threads_batch: threads,
    embeddings: true,
    ...(seesAhead ? {} : { pooling_type: Number(noPooling) }),
  })
  if (context === null) {
    throw new EngineError(
      'PREFIXD_E_ENGINE_MODEL',
      `llama.cpp could not create a context of ${contextTokens} tokens for vectors of this ` +
        'model. Try a smaller --ctx.',
    )
  }
  // An encoder has none: it keeps nothing between two texts.
  const memory = calls.llama_get_memory(context)
  const batch = allocateBatch(rows, 1)
  const size = calls.llama_model_n_embd_out(model)
  const rowsAt = (address: Pointer | null, count: number): Float32Array => {
    if (address === null) throw failed('llama.cpp made no vector.')
    return new Float32Array(koffi.view(address, count * size * 4))
  }
  const compute = async (tokens: Uint32Array, from: number): Promise<void> => {
    const call = memory === null ? calls.llama_encode : calls.llama_decode
    const code = await onPool(call, context, batch.fill(tokens, from, 0, 'all'))
    if (code !== 0) throw failed(`llama.cpp could not read the text (code ${code}).`)
  }
  const whole = async (tokens: Uint32Array): Promise<Float32Array> => {
    await compute(tokens, 0)
    return rowsAt(calls.llama_get_embeddings_seq(context, 0), 1).slice()
  }
  const inPieces = async (tokens: Uint32Array): Promise<Float32Array> => {
    const pool = createPool(pooling, size)
    for (let from = 0; from < tokens.length; from += rows) {
      const piece = tokens.subarray(from, from + rows)
      await compute(piece, from)
      pool.add(rowsAt(calls.llama_get_embeddings(context), piece.length))
    }
    return pool.vector
  }
  return {
    size,
    async embed(tokens) {
      if (tokens.length === 0 || tokens.length > contextTokens) {
        throw failed(`A text has 1 to ${contextTokens} tokens, not ${tokens.length}.`)
      }
      if (memory !== null) calls.llama_memory_clear(memory, false)
      return seesAhead ? whole(tokens) : inPieces(tokens)
    },
    free() {
      calls.llama_free(context)
      batch.free()
    },
  }
}

/** One vector of rows that come piece by piece. Not divided: the length of vectors is made 1. */
function createPool(pooling: EmbeddingInfo['pooling'], size: number) {
  const vector = new Float32Array(size)
  let isEmpty = true
  return {
    vector,
    add(rows: Float32Array): void {
      if (pooling === 'last') vector.set(rows.subarray(rows.length - size))
      else if (pooling === 'cls' && isEmpty) vector.set(rows.subarray(0, size))
      else if (pooling === 'mean') {
        for (const [at, value] of rows.entries()) {
          vector[at % size] = (vector[at % size] ?? 0) + value
        }
      }
      isEmpty = false
    },
  }
}

const failed = (words: string): EngineError =>
  new EngineError('PREFIXD_E_ENGINE_COMPUTE', `${words} Send another text.`)

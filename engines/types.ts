/**
 * What a worker is, seen from both sides of the wire. Types only.
 *
 * `Engine` and `Sequence` are what the service uses; `EngineModel` and `EngineSequence` are what an
 * engine implements inside the worker process. Between them stand frames (docs/engine-protocol.md).
 */
import type { Crc32s, Layout, RecordKind, ReuseMode, TokenIds } from '../cache/types.ts'

/** Hashed into the namespace: all of it must match before KV bytes may be reused. */
export interface Fingerprint {
  readonly engine: string
  /** Build of the engine, e.g. `llama.cpp v0.5.0 (@node-llama-cpp/linux-x64 3.22.1)`. */
  readonly build: string
  /** Version of the state bytes, e.g. `llama-seq-state/3`. */
  readonly stateFormat: string
  readonly architecture: string
  readonly kvTypes: string
  readonly flashAttention: boolean
  /** Everything else that changes KV bytes: rope, adapters, streams, device, … as sorted pairs. */
  readonly settings: Readonly<Record<string, string>>
}

/** How a model makes one vector of a whole text. */
export interface EmbeddingInfo {
  /** Numbers of a vector. */
  readonly size: number
  /** Whose numbers it has: all tokens' on average, the first one's, or the last one's. */
  readonly pooling: 'mean' | 'cls' | 'last'
}

/** They stand before what comes before the gap, before what comes behind it, and at the end. */
export interface GapTokens {
  readonly prefix: number
  readonly suffix: number
  readonly middle: number
}

/** What a worker declares when it is ready. */
export interface ModelInfo {
  readonly fingerprint: Fingerprint
  readonly layout: Layout
  readonly contextTokens: number
  readonly trainedContextTokens: number
  readonly vocabularySize: number
  readonly parameterCount: number
  readonly weightsBytes: number
  /** False: it makes vectors only, and `openSequence` and `generate` are never called. */
  readonly generates: boolean
  /** Null: it makes no vectors, and `embed` is never called. */
  readonly embedding: EmbeddingInfo | null
  /** KV tokens are kept in `sequences` sequences at once. */
  readonly sequences: number
  readonly hasChatTemplate: boolean
  /**
   * The template's source, by which the service knows how the model writes tool calls and
   * reasoning: the one for requests with tools where the model has two.
   */
  readonly chatTemplate: string | null
  /** Tokens with which a prompt asks for what belongs between two texts; null: it has none. */
  readonly gap: GapTokens | null
  /** Tokens that end a message or an answer. */
  readonly endTokens: readonly number[]
  /** Human words about the device, e.g. `CPU, 1 thread`. */
  readonly device: string
}

/** What an engine says of its model; by `isEnd` the worker finds out the rest. */
export type ModelDescription = Omit<ModelInfo, 'endTokens'>

export interface WorkerOptions {
  readonly modelPath: string
  /** At most; unscaled, the model's trained length is the upper limit. 0: that length. */
  readonly contextTokens: number
  /** Requests that are computed in turns, each with a context of its own. */
  readonly sequences: number
  readonly threads: number
  readonly blockTokens: number
  readonly reuse: ReuseMode
  /** Engine-specific settings, e.g. `{ libraryDir, ropeScaling }` or the fake engine's speeds. */
  readonly engine: Readonly<Record<string, string | number | boolean>>
}

export interface Sampling {
  /** 0 is greedy. */
  readonly temperature: number
  readonly topP: number
  readonly topK: number
  readonly minP: number
  readonly repeatPenalty: number
  readonly frequencyPenalty: number
  readonly presencePenalty: number
  readonly seed: number
}

/** Is added to the token's logit before anything else looks at it; OpenAI's −100 is a ban. */
export interface TokenBias {
  readonly token: number
  readonly bias: number
}

/**
 * How likely the model itself holds a token: log-softmax of the raw logits, before bias, penalties,
 * temperature and grammar.
 */
export interface TokenLogprob {
  readonly token: number
  /** May be a part of a character. */
  readonly bytes: Uint8Array
  readonly logprob: number
}

/** The token that was sampled, and the likeliest ones there, which may have it too. */
export interface TokenLogprobs extends Omit<TokenLogprob, 'token'> {
  readonly top: readonly TokenLogprob[]
}

/** A chat as the model's own template receives it; message objects are passed on untouched. */
export interface RenderInput {
  readonly messages: readonly Readonly<Record<string, unknown>>[]
  readonly tools?: readonly unknown[]
  /** What templates for retrieval write as `documents`, in their own order of keys. */
  readonly documents?: readonly unknown[]
  readonly addGenerationPrompt: boolean
  readonly templateArgs?: Readonly<Record<string, unknown>>
}

export interface TokenizeOptions {
  /** Add the model's own beginning-of-text tokens. */
  readonly addSpecial: boolean
  /** Read special tokens that are written out in the text. */
  readonly parseSpecial: boolean
}

/** Where the bytes of one record are: in the shared arena, or carried by the frame itself. */
export interface RecordBytes {
  readonly offset: number
  readonly sizeBytes: number
  readonly generation: number
}

export interface RestoreRecord extends RecordBytes {
  readonly kind: RecordKind
  readonly from: number
  /** One past the last token that the record holds, and one past the last one to keep. */
  readonly to: number
  readonly keepTo: number
  readonly crc32s: Crc32s
  /**
   * The service has checked these bytes since they came into its memory, so the worker does not do
   * it again: that would take longer than the restore. Bytes that frames carry are always checked.
   */
  readonly verified?: boolean
}

export interface RestoreResult {
  /** Tokens that now stand in the sequence, as the engine counts them. */
  readonly restoredTokens: number
  readonly restoreMs: number
}

/** The engine has computed these tokens and asks where to put their record. */
export interface ExportRequest {
  readonly kind: RecordKind
  readonly from: number
  readonly to: number
  readonly sizeBytes: number
  /** Token ids of [from, to), as the engine computed them. */
  readonly tokens: TokenIds
  /** Wholly prefilled on the grid, and so was everything before it: bit-identical to cold. */
  readonly grid: boolean
}

export interface ExportedRecord extends ExportRequest {
  readonly bytes: RecordBytes
  readonly crc32s: Crc32s
}

/** The service's side of saving; the cache stands behind it. */
export interface RecordSink {
  /** Null: no room, already stored, or not wanted; the engine then skips the export. */
  reserve(request: ExportRequest): Promise<RecordBytes | null>
  commit(record: ExportedRecord): void
  /** The engine could not fill what was reserved. */
  abandon(bytes: RecordBytes): void
}

export interface GenerateInput {
  /** The whole prompt. Tokens [0, computeFrom) are in the sequence already. */
  readonly tokens: TokenIds
  readonly computeFrom: number
  /** Are the restored tokens bit-identical to cold (all from `grid` records, untrimmed)? */
  readonly restoredOnGrid: boolean
  /**
   * Positions inside (computeFrom, end of the prompt) where a prefill call has to end, rising. What
   * is exact at one position only is exported there. Absent: none.
   */
  readonly boundaries?: readonly number[]
  /** 0: prefill and save, generate nothing. */
  readonly maxTokens: number
  readonly sampling: Sampling
  /**
   * GBNF with a rule `root` that the whole answer follows, reasoning and markup included; null:
   * none.
   */
  readonly grammar?: string | null
  readonly logitBias?: readonly TokenBias[]
  /** So many likely tokens beside each sampled one, which is reported too; null: no logprobs. */
  readonly topLogprobs?: number | null
  /** Export records through the sink? */
  readonly save: boolean
  /** Keep going at an end-of-generation token (benchmarks). */
  readonly ignoreEnd?: boolean
  /** Report logits of every sampled position (exactness tests). */
  readonly logits?: boolean
}

export type FinishReason = 'stop' | 'length' | 'aborted'

export interface GenerateDone {
  readonly type: 'done'
  readonly finishReason: FinishReason
  /** Confirmed by the engine: tokens that were in the sequence, and prompt tokens it computed. */
  readonly restoredTokens: number
  readonly computedTokens: number
  readonly decodedTokens: number
  readonly prefillMs: number
  readonly decodeMs: number
  readonly exportMs: number
}

export type GenerateEvent =
  | { readonly type: 'prefill'; readonly processedTokens: number; readonly totalTokens: number }
  | {
      readonly type: 'token'
      readonly token: number
      /** Text that became complete with this token; may be empty inside a UTF-8 sequence. */
      readonly text: string
      readonly logits?: Float32Array
      readonly logprobs?: TokenLogprobs
    }
  | GenerateDone

/** A sequence of the worker. Single owner; one call at a time. */
export interface Sequence {
  /**
   * Appends records in order; call it as often as needed. A failure leaves the sequence empty.
   * `expectedTokens` will stand there when the last call has come, so that the worker takes memory
   * once; absent: what these records bring. Without records it may do so already.
   */
  restore(records: readonly RestoreRecord[], expectedTokens?: number): Promise<RestoreResult>
  /** Aborting the signal ends the stream within one token, with a `done` event of its own. */
  generate(
    input: GenerateInput,
    sink: RecordSink,
    signal: AbortSignal,
  ): AsyncIterable<GenerateEvent>
  /** Cuts to the first `tokenCount` tokens without clearing; for measurements of live reuse. */
  trim(tokenCount: number): Promise<void>
  /**
   * Clears the sequence and gives it back. Resolves only when the worker no longer touches any
   * bytes.
   */
  close(): Promise<void>
}

export type EngineState = 'starting' | 'ready' | 'restarting' | 'failed' | 'stopped'

export interface EngineStatus {
  readonly state: EngineState
  readonly pid: number | null
  readonly restarts: number
  readonly startedAtMs: number
  readonly lastError: string | null
  readonly busySequences: number
  readonly queuedRequests: number
}

/** One supervised worker. It outlives the processes that it starts. */
export interface Engine {
  /** Rejects with EngineError when the model cannot be loaded. */
  ready(): Promise<ModelInfo>
  status(): EngineStatus
  render(input: RenderInput): Promise<string>
  tokenize(text: string, options: TokenizeOptions): Promise<TokenIds>
  /** Text of tokens; special tokens are written out. */
  detokenize(tokens: TokenIds): Promise<string>
  /** Text of each token on its own, as bytes (a token may be part of a character). */
  pieces(tokens: TokenIds): Promise<Uint8Array[]>
  /** The vector of a text of at most `contextTokens` tokens, of length 1. */
  embed(tokens: TokenIds): Promise<Float32Array>
  /** Waits in a bounded queue for a free sequence; rejects with `PREFIXD_E_ENGINE_QUEUE_FULL`. */
  openSequence(signal: AbortSignal): Promise<Sequence>
  /** Lets running requests finish within `drainMs`, then ends the process. */
  close(drainMs: number): Promise<void>
}

/** Arena shared with the worker, or null where the frames carry the bytes. */
export interface SharedArena {
  readonly fd: number
  readonly sizeBytes: number
}

/** The same bytes seen by the service; used only when the frames carry payloads. */
export interface ArenaView {
  /** A view, not a copy, of the bytes at this place. */
  view(offset: number, sizeBytes: number): Uint8Array
}

/* ---------- inside the worker process ---------- */

/** One loaded model, as an engine implements it. Calls never overlap. */
export interface EngineModel {
  readonly info: ModelDescription
  render(input: RenderInput): string
  tokenize(text: string, options: TokenizeOptions): TokenIds
  piece(token: number): Uint8Array
  isEnd(token: number): boolean
  openSequence(): EngineSequence
  /** The text's vector, as long as `info.embedding` says, of any length above 0. */
  embed(tokens: TokenIds): Promise<Float32Array>
  close(): Promise<void>
}

export type ComputeResult = 'ok' | 'aborted'

export interface EngineSequence {
  /** Tokens that stand in the sequence. */
  readonly tokenCount: number
  /**
   * `kv`: puts tokens [from, keepTo) of a record holding [from, to) behind what stands there.
   * `window`, `state`: puts back what stood at `to`, which must be the sequence's end. A sequence
   * that has not got all kinds of its layout refuses to compute. Throws.
   */
  importRecord(record: RestoreRecord, bytes: Uint8Array): void
  /**
   * Computes `tokens` behind what stands there in one call of the engine. Aborted: nothing
   * appended.
   */
  compute(tokens: TokenIds, wantLogits: boolean): Promise<ComputeResult>
  /** Exact size of a record of [from, to); `window` and `state` while the sequence ends there. */
  recordBytes(kind: RecordKind, from: number, to: number): number
  /**
   * Writes the record of [from, to) into `into`, which is exactly `recordBytes` long. `window` and
   * `state` are those of the sequence's end: throws unless that is `to`.
   */
  exportRecord(kind: RecordKind, from: number, to: number, into: Uint8Array): void
  /**
   * A sampler for one request; it has seen the prompt for its penalties. Throws
   * PREFIXD_E_ENGINE_GRAMMAR where the grammar cannot be followed. Looks at no logits yet.
   */
  createSampler(request: SamplerRequest): EngineSampler
  /** Logits behind the last computed token (a copy). */
  logits(): Float32Array
  /** Keeps the first `tokenCount` tokens. Throws where a layout with boundaries cannot be cut. */
  trim(tokenCount: number): void
  /** Empties the sequence, bytes included. */
  clear(): void
  /** Makes a running `compute` return `aborted` as soon as the engine can. */
  abort(): void
}

export type SamplerRequest = Pick<GenerateInput, 'tokens' | 'sampling' | 'grammar' | 'logitBias'>

export interface EngineSampler {
  /**
   * The next token, which counts as taken. A grammar allows an end-of-generation token only where
   * the text may end. Throws PREFIXD_E_ENGINE_GRAMMAR where no token can go on.
   */
  sample(): number
  close(): void
}

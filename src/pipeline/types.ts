/**
 * What the product's parts say to each other: the API and the CLI see the pipeline only through
 * these. Types only.
 */
import type { BlockHash, Miss, Plan, TierName, TokenIds } from '../../cache/types.ts'
import type {
  EngineStatus,
  ModelInfo,
  RenderInput,
  Sampling,
  TokenBias,
  TokenLogprobs,
} from '../../engines/types.ts'
import type { CacheAdmin, Transfer, WorkerReport } from './admin-types.ts'
import type { BudgetAdmin } from './budget-types.ts'
import type { CacheEvent } from './cache-event-types.ts'
import type { SessionAdmin } from './session-types.ts'

export type * from './admin-types.ts'
export type * from './cache-event-types.ts'
export type * from './session-types.ts'

/**
 * Where a client says that others will share its prompt up to: behind so many characters of a
 * message's text (null: behind all of the message), or behind a tool. No part of the prompt.
 */
export type Breakpoint =
  | { readonly message: number; readonly atChar: number | null }
  | { readonly tool: number }

export interface ChatInput extends RenderInput {
  /** The last message is the beginning of the answer, which goes on where it ends. */
  readonly goesOn?: boolean
  readonly breakpoints?: readonly Breakpoint[]
}

export type Prompt =
  | { readonly kind: 'chat'; readonly input: ChatInput }
  | { readonly kind: 'text'; readonly text: string }
  /** What belongs between two texts; only models that were trained for it can write that. */
  | { readonly kind: 'gap'; readonly text: string; readonly suffix: string }
  | { readonly kind: 'tokens'; readonly tokens: TokenIds }

/** What the client wants of the cache for this request; every dialect's controls become this. */
export interface CacheDirective {
  readonly read: boolean
  readonly write: boolean
  /** False: what is saved stays in RAM and is never written to the SSD. */
  readonly spill: boolean
  /** The shortest time that the client wishes its prefix to be kept for; null: it did not say. */
  readonly ttlMs: number | null
  /** Once it is saved no eviction takes it, for `ttlMs`, or until it is unpinned. */
  readonly pin?: boolean
  /** Enters the namespace: only requests with the same salt share blocks. */
  readonly salt: string
}

/** What was done to a chat before it was rendered, and what in it will keep prompts apart. */
export interface HygieneReport {
  /** One entry for each normaliser that removed something. */
  readonly removed: readonly {
    readonly name: string
    readonly count: number
    readonly chars: number
  }[]
  /** Text that differs between sessions and was left as it is; the first ones only. */
  readonly volatile: readonly VolatileSpan[]
}

export interface VolatileSpan {
  readonly kind: 'date' | 'path' | 'git'
  /** Index among the messages that the client sent, and place in the text of its parts. */
  readonly message: number
  readonly atChar: number
}

/**
 * What the answer must be, reasoning aside. It becomes a grammar when the model's own markup is
 * known; errors name the paths. The prompt does not depend on it.
 */
export interface AnswerConstraint {
  /** What visible text must be; null: any text. */
  readonly text: TextConstraint | null
  /** Null: the model calls as it likes. */
  readonly calls: CallConstraint | null
}

/** `path` is the place in the client's body. */
export type TextConstraint =
  | { readonly kind: 'schema'; readonly schema: unknown; readonly path: string }
  | { readonly kind: 'regex'; readonly pattern: string; readonly path: string }
  | { readonly kind: 'choice'; readonly texts: readonly string[]; readonly path: string }
  /** GBNF with a rule `root`. */
  | { readonly kind: 'grammar'; readonly grammar: string; readonly path: string }

export interface CallConstraint {
  /** The answer is a call; otherwise it may be text instead. */
  readonly required: boolean
  /** May there be several? */
  readonly parallel: boolean
  /** Those that may be called. */
  readonly tools: readonly ConstrainedTool[]
}

export interface ConstrainedTool {
  readonly name: string
  /** Of its arguments; null: an object of any kind. */
  readonly schema: unknown
  readonly path: string
}

/** What the client speaks: the last word of its route. */
export type Dialect = 'chat' | 'completions' | 'messages' | 'responses'

export interface GenerateRequest {
  readonly requestId: string
  /** Calls get the ids that its clients know. */
  readonly dialect: Dialect
  /** Name or alias of the model; the pipeline has already refused unknown ones. */
  readonly model: string
  readonly prompt: Prompt
  /** Null: as many as fit in the context. 0: prefill and save, generate nothing. */
  readonly maxTokens: number | null
  readonly sampling: Sampling
  /** Absent and null: the model writes what it likes. */
  readonly constraint?: AnswerConstraint | null
  readonly logitBias?: readonly TokenBias[]
  /** Logprobs of visible text, with so many likely tokens beside each; absent and null: none. */
  readonly topLogprobs?: number | null
  /** Answers to this prompt, each with a seed of its own; absent is 1. */
  readonly choices?: number
  /** Text that ends the answer; it is never emitted, not even partly. */
  readonly stop: readonly string[]
  readonly cache: CacheDirective
  readonly ignoreEnd: boolean
  /** False: the answer ends with its first call. Absent is true. */
  readonly parallelToolCalls?: boolean
  /** Whose key it came with, as a name that gives nothing away; null while no keys are in use. */
  readonly tenant: string | null
  /** The client's own id of its session, for reports only; never a part of any hash. */
  readonly session: string | null
  /** Null where the prompt is no chat, or where the client wanted it untouched. */
  readonly hygiene: HygieneReport | null
}

/** What the engine confirmed, with times. Usage figures come from here, never from the plan. */
export interface Receipt {
  readonly promptTokens: number
  readonly restoredTokens: number
  readonly computedTokens: number
  /** Newly stored tokens that were on the slowest configured tier when the answer ended. */
  readonly savedTokens: number
  readonly generatedTokens: number
  readonly status: 'hit' | 'partial' | 'miss' | 'bypass'
  /** Slowest tier that was read. */
  readonly tier: TierName | null
  /** Short chain hash of the deepest stored block of this prompt, for `prefixd inspect`. */
  readonly prefix: string | null
  readonly blocks: { readonly hit: number; readonly total: number; readonly blockTokens: number }
  readonly miss: Miss | null
  readonly reasons: readonly string[]
  readonly hygiene: HygieneReport | null
  readonly ms: {
    /** Waiting for the worker to have its model, at the start or after a death; else about 0. */
    readonly load: number
    readonly queue: number
    readonly tokenize: number
    readonly plan: number
    readonly restore: number
    readonly prefill: number
    readonly decode: number
    readonly save: number
    /** From the request's arrival in the pipeline to the first token of the answer. */
    readonly ttft: number | null
  }
}

/** One request as it is remembered. Of its prompt and its answer there is no word in it. */
export interface RequestRecord {
  /** What its reply had as `x-request-id`; of a request with several prompts each has its own. */
  readonly id: string
  readonly atMs: number
  readonly model: string
  readonly tenant: string | null
  readonly session: string | null
  readonly route: Dialect
  /** `failed`: the engine has confirmed nothing, since it failed or the client went away. */
  readonly status: Receipt['status'] | 'failed'
  /** Code of the error; null where there was none, also when the client went away. */
  readonly error: string | null
  /** Null where it came to none. */
  readonly plan: Pick<Plan, 'matchedTokens' | 'computeFrom' | 'estimate'> | null
  readonly receipt: Receipt | null
}

export interface RequestQuery {
  readonly limit: number
  /** Of the page before. */
  readonly cursor?: number
  readonly model?: string
  readonly session?: string
  readonly status?: RequestRecord['status']
  /** Null: only what came without a key. Absent: everybody's. */
  readonly tenant?: string | null
}

/** The latest first. */
export interface RequestPage {
  readonly requests: readonly RequestRecord[]
  readonly nextCursor: number | null
}

/** Which blocks an answered request asked for, for those who record that. */
export interface RecordedRequest {
  readonly model: string
  /** Chain hashes of the prompt's blocks in order; the last one may be a tail. */
  readonly hashes: readonly BlockHash[]
  readonly promptTokens: number
  readonly generatedTokens: number
  readonly blockTokens: number
  /** Rows of a whole block. */
  readonly blockBytes: number
  /** What computing one takes, as it was measured; null: not yet. */
  readonly blockMs: number | null
}

/** A token of visible text. Every one is reported once, before or with its text. */
export interface TextToken extends TokenLogprobs {
  readonly token: number
  /** Characters of the choice's visible text in front of it. */
  readonly atChar: number
}

/** `tool_calls`: the answer ended by itself and has at least one call. */
export type FinishReason = 'stop' | 'length' | 'tool_calls'

export type GenerateEvent =
  /** Comes first, before prefill: the plan, for headers. */
  | {
      readonly type: 'planned'
      readonly plan: Plan
      readonly ms: Pick<Receipt['ms'], 'load' | 'queue' | 'tokenize' | 'plan'>
    }
  /** The prompt's tokens that now stand in the sequence, as the engine counts them; may be 0. */
  | { readonly type: 'restored'; readonly restoredTokens: number }
  | { readonly type: 'prefill'; readonly processedTokens: number; readonly totalTokens: number }
  | {
      readonly type: 'text'
      readonly text: string
      /** Tokens whose first visible part this is, where the request wants logprobs. */
      readonly tokens?: readonly TextToken[]
    }
  /** The model's thinking, without its markup; comes before the text or between calls. */
  | { readonly type: 'reasoning'; readonly text: string }
  /** Begins a call; `index` counts calls from 0. Its arguments follow before the next call. */
  | {
      readonly type: 'tool_call'
      readonly index: number
      readonly id: string
      readonly name: string
    }
  /** A piece of that call's arguments: JSON as the model wrote it, byte for byte. */
  | { readonly type: 'tool_arguments'; readonly index: number; readonly text: string }
  /** This choice is complete; the receipt follows when what was saved is confirmed. */
  | {
      readonly type: 'finish'
      readonly finishReason: FinishReason
      /** The stop string that ended the answer; absent when none did. */
      readonly stopString?: string
    }
  /** What follows belongs to the next choice, counted from 0; the first one is not announced. */
  | { readonly type: 'choice'; readonly choice: number }
  | { readonly type: 'receipt'; readonly receipt: Receipt }

export interface ModelCard {
  readonly id: string
  readonly aliases: readonly string[]
  readonly createdAtMs: number
  readonly state: EngineStatus['state']
  /** Null until the worker is ready. */
  readonly info: ModelInfo | null
}

export type EmbedPrompt = Exclude<Prompt, { readonly kind: 'chat' }>

export interface EmbeddedText {
  readonly vector: Float32Array
  readonly promptTokens: number
}

/** The product behind the API. */
export interface Service {
  /**
   * Events of one answer. Rejects with a typed error (src/errors.ts); aborting the signal ends
   * it.
   */
  generate(request: GenerateRequest, signal: AbortSignal): AsyncIterable<GenerateEvent>
  /** The first one answers requests that name none. */
  models(): readonly ModelCard[]
  workers(): readonly WorkerReport[]
  render(model: string, input: ChatInput): Promise<string>
  tokenize(
    model: string,
    text: string,
    options: { addSpecial: boolean; parseSpecial: boolean },
  ): Promise<TokenIds>
  detokenize(model: string, tokens: TokenIds): Promise<string>
  pieces(model: string, tokens: TokenIds): Promise<Uint8Array[]>
  /**
   * The text's vector, of length 1. Rejects with `PREFIXD_E_NOT_SUPPORTED` where the model makes
   * none, and as `generate` does for what it cannot read; `field` names the text in errors.
   */
  embed(model: string, prompt: EmbedPrompt, field: string): Promise<EmbeddedText>
  readonly cache: CacheAdmin
  readonly budgets: BudgetAdmin
  /** See `CacheEvents.follow`. */
  followCache(signal: AbortSignal): AsyncGenerator<CacheEvent>
  readonly transfer: Transfer
  readonly sessions: SessionAdmin
  /** What was answered in the last weeks. */
  readonly history: {
    list(query: RequestQuery): Promise<RequestPage>
    /** With a tenant: its own only. Null: there is none. */
    find(id: string, tenant?: string | null): Promise<RequestRecord | null>
  }
}

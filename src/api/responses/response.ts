/** The response object. Clients validate it whole: every key is there, with null where empty. */
import type OpenAI from 'openai'
import type { Receipt } from '../../pipeline/types.ts'
import type { CacheObjectJson } from '../native/schema.ts'
import { type Timings, toCacheObject, toTimings, toUsage } from '../openai/usage.ts'
import type { ResponsesRequest } from './schema.ts'

export type OutputItem =
  | OpenAI.Responses.ResponseOutputMessage
  | OpenAI.Responses.ResponseReasoningItem
  | OpenAI.Responses.ResponseFunctionToolCallItem

/** `output_text` is added by the SDK itself. */
export type ResponseJson = Omit<OpenAI.Responses.Response, 'output_text' | 'access_programs'> & {
  readonly cache?: CacheObjectJson
  readonly timings?: Timings
}

export interface ResponseHead {
  readonly id: string
  readonly model: string
  readonly createdAtMs: number
  readonly body: ResponsesRequest & { readonly tool_choice?: unknown }
}

/** How it stands; `receipt` and `completedAtMs` come with the end. */
export interface ResponseState {
  readonly status: 'in_progress' | 'completed' | 'incomplete' | 'failed'
  readonly output: readonly OutputItem[]
  readonly error?: string
  readonly receipt?: Receipt
  readonly completedAtMs?: number
}

/**
 * Echoes what was done, not what was asked: nothing is stored or cut, and unknown tools are out.
 */
export function toResponse(head: ResponseHead, state: ResponseState) {
  const { body } = head
  const { receipt, completedAtMs, error } = state
  return {
    id: head.id,
    object: 'response',
    created_at: Math.floor(head.createdAtMs / 1000),
    completed_at: completedAtMs === undefined ? null : Math.floor(completedAtMs / 1000),
    status: state.status,
    incomplete_details: state.status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    model: head.model,
    previous_response_id: null,
    instructions: body.instructions ?? null,
    output: [...state.output],
    error: error === undefined ? null : { code: 'server_error', message: error },
    tools: (body.tools ?? []).flatMap(toToolEcho),
    tool_choice: (body.tool_choice ?? 'auto') as OpenAI.Responses.Response['tool_choice'],
    truncation: 'disabled',
    parallel_tool_calls: body.parallel_tool_calls ?? true,
    text: {
      format: (body.text?.format ?? { type: 'text' }) as OpenAI.Responses.ResponseFormatTextConfig,
      ...(body.text?.verbosity ? { verbosity: body.text.verbosity } : {}),
    },
    top_p: body.top_p ?? 1,
    presence_penalty: body.presence_penalty ?? 0,
    frequency_penalty: body.frequency_penalty ?? 0,
    top_logprobs: body.top_logprobs ?? 0,
    temperature: body.temperature ?? 1,
    reasoning: {
      effort: (body.reasoning?.effort ?? null) as OpenAI.ReasoningEffort,
      summary: null,
    },
    ...(receipt
      ? {
          usage: toResponseUsage(receipt),
          cache: toCacheObject(receipt),
          timings: toTimings(receipt),
        }
      : { usage: null as unknown as OpenAI.Responses.ResponseUsage }),
    max_output_tokens: body.max_output_tokens ?? null,
    max_tool_calls: body.max_tool_calls ?? null,
    store: false,
    background: false,
    service_tier: 'default',
    metadata: (body.metadata ?? {}) as OpenAI.Metadata,
    safety_identifier: body.safety_identifier ?? null,
    prompt_cache_key: body.prompt_cache_key ?? null,
    ...toCacheOptions(body.prompt_cache_options),
  } satisfies ResponseJson & Readonly<Record<string, unknown>>
}

/** Only where the client has named some; `30m` is what OpenAI takes for no time. */
function toCacheOptions(options: ResponsesRequest['prompt_cache_options']) {
  if (options == null) return {}
  const ttl = (options.ttl ?? '30m') as OpenAI.Responses.Response.PromptCacheOptions['ttl']
  return { prompt_cache_options: { mode: options.mode ?? 'implicit', ttl } }
}

/** Thinking is not counted apart from text; both are in `output_tokens`. */
export function toResponseUsage(receipt: Receipt) {
  const usage = toUsage(receipt)
  return {
    input_tokens: usage.prompt_tokens,
    input_tokens_details: usage.prompt_tokens_details,
    output_tokens: usage.completion_tokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: usage.total_tokens,
  } satisfies OpenAI.Responses.ResponseUsage
}

function toToolEcho(tool: Readonly<Record<string, unknown>>): OpenAI.Responses.FunctionTool[] {
  if (tool.type !== 'function') return []
  return [
    {
      type: 'function',
      name: String(tool.name),
      description: (tool.description as string | undefined) ?? null,
      parameters: (tool.parameters as Record<string, unknown> | undefined) ?? null,
      strict: tool.strict === true,
    },
  ]
}

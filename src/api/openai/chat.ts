/** `POST /v1/chat/completions`. */
import { randomUUID } from 'node:crypto'
import type OpenAI from 'openai'
import { isFunctionTool } from '../../chat/messages.ts'
import type { ReasoningField } from '../../config/schema.ts'
import type { TextToken } from '../../pipeline/types.ts'
import type { Choice } from '../answer.ts'
import { readChatPrompt } from '../chat-prompt.ts'
import type { ApiContext, Server } from '../context.ts'
import { chooseModel, systemFingerprint } from '../model-choice.ts'
import type { CacheObjectJson } from '../native/schema.ts'
import { deliver, type Wording } from './deliver.ts'
import { withFunctionCalls } from './function-calls.ts'
import { asksForFunctions, withoutLegacy } from './legacy.ts'
import { readTopLogprobs, toTokenLogprobs } from './logprobs.ts'
import { readChat, readConstraint, readShared } from './request.ts'
import { type ChatRequest, ChatRequestSchema } from './schema.ts'
import { type Timings, toCacheObject, toTimings, toUsage } from './usage.ts'

type Extended<T> = T & { readonly cache?: CacheObjectJson; readonly timings?: Timings }
type Chunk = Extended<OpenAI.ChatCompletionChunk>
type Reasoning = { readonly [Field in ReasoningField]?: string }
type Delta = OpenAI.ChatCompletionChunk.Choice['delta'] & Reasoning
type Logprobs = OpenAI.ChatCompletion.Choice['logprobs']
type ChunkReason = OpenAI.ChatCompletionChunk.Choice['finish_reason']

export function chatRoutes(server: Server, context: ApiContext): void {
  server.post(
    '/v1/chat/completions',
    { schema: { body: ChatRequestSchema } },
    async (request, reply) => {
      const body = withoutLegacy(request.body)
      const foreignTools = (body.tools ?? []).filter((tool) => !isFunctionTool(tool)).length
      if (foreignTools > 0)
        request.log.debug({ foreignTools }, 'left out tools that are no function')
      const card = chooseModel(context.service.models(), body.model)
      const includeUsage = body.stream_options?.include_usage === true
      const generate = {
        ...readShared(body, request, 'chat'),
        topLogprobs: readTopLogprobs(body),
        model: card.id,
        ...readChatPrompt(readChat(body), context, request),
        maxTokens: body.max_completion_tokens ?? body.max_tokens ?? null,
        parallelToolCalls: body.parallel_tool_calls ?? true,
        constraint: readConstraint(body, asksForFunctions(request.body) ? 'functions' : 'tools'),
      } as const
      const wording = chatWording(body, {
        model: card.id,
        fingerprint: () => systemFingerprint(context.service, card.id),
        includeUsage,
        reasoningField: context.reasoningField,
      })
      return deliver(
        context,
        {
          requests: [generate],
          stream: body.stream === true,
          includeUsage,
          wording: asksForFunctions(request.body) ? withFunctionCalls(wording) : wording,
        },
        request,
        reply,
      )
    },
  )
}

interface WordingOptions {
  readonly model: string
  readonly fingerprint: () => ReturnType<typeof systemFingerprint>
  readonly includeUsage: boolean
  readonly reasoningField: ReasoningField
}

/** The order of chunks: role, reasoning, text, calls, finish, usage and `cache`, `[DONE]`. */
function chatWording(
  body: ChatRequest,
  { model, fingerprint, includeUsage, reasoningField }: WordingOptions,
): Wording {
  const begun = {
    id: `chatcmpl-${randomUUID()}`,
    created: Math.floor(Date.now() / 1000),
    model,
    ...((body as { service_tier?: unknown }).service_tier == null
      ? {}
      : { service_tier: 'default' as const }),
  }
  const head = () => ({ ...begun, ...fingerprint() })
  const logprobsOf = (tokens: readonly TextToken[] = []) =>
    body.logprobs === true ? { content: toTokenLogprobs(tokens), refusal: null } : null
  const chunk = (
    index: number,
    delta: Delta,
    reason: ChunkReason = null,
    logprobs: Logprobs = null,
  ) =>
    ({
      ...head(),
      object: 'chat.completion.chunk',
      choices: [{ index, delta, finish_reason: reason, logprobs }],
      ...(includeUsage ? { usage: null } : {}),
    }) satisfies Chunk
  return {
    opening: (index) => chunk(index, { role: 'assistant', content: '' }),
    text: (index, { text, tokens }) => chunk(index, { content: text }, null, logprobsOf(tokens)),
    reasoning: (index, text) => chunk(index, { [reasoningField]: text }),
    toolCall: (index, { index: call, id, name }) =>
      chunk(index, {
        tool_calls: [{ index: call, id, type: 'function', function: { name, arguments: '' } }],
      }),
    toolArguments: (index, { index: call, text }) =>
      chunk(index, { tool_calls: [{ index: call, function: { arguments: text } }] }),
    finish: (index, reason) => chunk(index, {}, reason),
    usage: (receipt) =>
      ({
        ...head(),
        object: 'chat.completion.chunk',
        choices: [],
        usage: toUsage(receipt),
        cache: toCacheObject(receipt),
        timings: toTimings(receipt),
      }) satisfies Chunk,
    whole: (choices, receipt) =>
      ({
        ...head(),
        object: 'chat.completion',
        choices: choices.map((choice, index) => ({
          index,
          message: messageOf(choice, reasoningField),
          finish_reason: choice.finishReason,
          logprobs: logprobsOf(choice.tokens),
        })),
        usage: toUsage(receipt),
        cache: toCacheObject(receipt),
        timings: toTimings(receipt),
      }) satisfies Extended<OpenAI.ChatCompletion>,
  }
}

/** Fields that say nothing are left out, except `content`, which is null beside calls alone. */
function messageOf({ text, reasoning, toolCalls }: Choice, reasoningField: ReasoningField) {
  return {
    role: 'assistant',
    content: text === '' && toolCalls.length > 0 ? null : text,
    refusal: null,
    ...(reasoning === '' ? {} : { [reasoningField]: reasoning }),
    ...(toolCalls.length === 0
      ? {}
      : {
          tool_calls: toolCalls.map(({ id, ...call }) => ({
            id,
            type: 'function' as const,
            function: call,
          })),
        }),
  } satisfies OpenAI.ChatCompletionMessage & Reasoning
}

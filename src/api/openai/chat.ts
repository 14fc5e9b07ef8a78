/** `POST /v1/chat/completions`. */
import { randomUUID } from 'node:crypto'
import type OpenAI from 'openai'
import type { ModelCard } from '../../pipeline/types.ts'
import type { ApiContext, Server } from '../context.ts'
import { chooseModel } from '../model-choice.ts'
import type { CacheObjectJson } from '../native/schema.ts'
import { deliver, type Wording } from './deliver.ts'
import { readChat, readShared } from './request.ts'
import { type ChatRequest, ChatRequestSchema } from './schema.ts'
import { refuseUnsupported } from './unsupported.ts'
import { type Timings, toCacheObject, toTimings, toUsage } from './usage.ts'

type Extended<T> = T & { readonly cache?: CacheObjectJson; readonly timings?: Timings }
type Chunk = Extended<OpenAI.ChatCompletionChunk>
type Delta = OpenAI.ChatCompletionChunk.Choice['delta']
type ChunkReason = OpenAI.ChatCompletionChunk.Choice['finish_reason']

export function chatRoutes(server: Server, context: ApiContext): void {
  server.post(
    '/v1/chat/completions',
    { schema: { body: ChatRequestSchema } },
    async (request, reply) => {
      const { body } = request
      refuseUnsupported(body)
      const card = chooseModel(context.service.models(), body.model)
      const includeUsage = body.stream_options?.include_usage === true
      const generate = {
        ...readShared(body, request),
        model: card.id,
        prompt: { kind: 'chat', input: readChat(body) },
        maxTokens: body.max_completion_tokens ?? body.max_tokens ?? null,
      } as const
      return deliver(
        context,
        {
          requests: [generate],
          stream: body.stream === true,
          includeUsage,
          wording: chatWording(body, card, includeUsage),
        },
        request,
        reply,
      )
    },
  )
}

/** The order of chunks: role, text, finish, usage with the `cache` object, `[DONE]`. */
function chatWording(body: ChatRequest, card: ModelCard, includeUsage: boolean): Wording {
  const head = {
    id: `chatcmpl-${randomUUID()}`,
    created: Math.floor(Date.now() / 1000),
    model: card.id,
    ...(card.info ? { system_fingerprint: card.info.fingerprint.build } : {}),
    ...((body as { service_tier?: unknown }).service_tier == null
      ? {}
      : { service_tier: 'default' as const }),
  }
  const chunk = (index: number, delta: Delta, finishReason: ChunkReason = null) =>
    ({
      ...head,
      object: 'chat.completion.chunk',
      choices: [{ index, delta, finish_reason: finishReason, logprobs: null }],
      ...(includeUsage ? { usage: null } : {}),
    }) satisfies Chunk
  return {
    opening: (index) => chunk(index, { role: 'assistant', content: '' }),
    text: (index, text) => chunk(index, { content: text }),
    finish: (index, reason) => chunk(index, {}, reason),
    usage: (receipt) =>
      ({
        ...head,
        object: 'chat.completion.chunk',
        choices: [],
        usage: toUsage(receipt),
        cache: toCacheObject(receipt),
        timings: toTimings(receipt),
      }) satisfies Chunk,
    whole: (outcomes, receipt) =>
      ({
        ...head,
        object: 'chat.completion',
        choices: outcomes.map(({ text, finishReason }, index) => ({
          index,
          message: { role: 'assistant', content: text, refusal: null },
          finish_reason: finishReason,
          logprobs: null,
        })),
        usage: toUsage(receipt),
        cache: toCacheObject(receipt),
        timings: toTimings(receipt),
      }) satisfies Extended<OpenAI.ChatCompletion>,
  }
}

/** `POST /v1/completions`: text, several texts, or token ids as they are. */
import { randomUUID } from 'node:crypto'
import type OpenAI from 'openai'
import type { FinishReason, ModelCard, Prompt } from '../../pipeline/types.ts'
import type { ApiContext, Server } from '../context.ts'
import { chooseModel } from '../model-choice.ts'
import type { CacheObjectJson } from '../native/schema.ts'
import { deliver, type Wording } from './deliver.ts'
import { readShared } from './request.ts'
import { type CompletionRequest, CompletionRequestSchema } from './schema.ts'
import { refuseUnsupported } from './unsupported.ts'
import { type Timings, toCacheObject, toTimings, toUsage } from './usage.ts'

type Extended<T> = T & { readonly cache?: CacheObjectJson; readonly timings?: Timings }

/** A stream's choices have no reason until their last chunk; the SDK's type knows only the last. */
type Chunk = Extended<
  Omit<OpenAI.Completion, 'choices' | 'usage'> & {
    readonly choices: readonly (Omit<OpenAI.CompletionChoice, 'finish_reason'> & {
      readonly finish_reason: OpenAI.CompletionChoice['finish_reason'] | null
    })[]
    readonly usage?: OpenAI.CompletionUsage | null
  }
>

/** OpenAI's default for this route. */
const defaultMaxTokens = 16

export function completionRoutes(server: Server, context: ApiContext): void {
  server.post(
    '/v1/completions',
    { schema: { body: CompletionRequestSchema } },
    async (request, reply) => {
      const { body } = request
      refuseUnsupported(body)
      const card = chooseModel(context.service.models(), body.model)
      const includeUsage = body.stream_options?.include_usage === true
      const shared = readShared(body, request)
      const prompts = readPrompts(body.prompt)
      const requests = prompts.map((prompt, index) => ({
        ...shared,
        requestId: prompts.length === 1 ? request.id : `${request.id}-${index}`,
        model: card.id,
        prompt,
        hygiene: null,
        maxTokens: body.max_tokens ?? defaultMaxTokens,
      }))
      const wording = completionWording(card, includeUsage)
      const stream = body.stream === true
      return deliver(context, { requests, stream, includeUsage, wording }, request, reply)
    },
  )
}

function readPrompts(prompt: CompletionRequest['prompt']): readonly Prompt[] {
  if (typeof prompt === 'string') return [{ kind: 'text', text: prompt }]
  if (isTokens(prompt)) return [{ kind: 'tokens', tokens: Uint32Array.from(prompt) }]
  return prompt.map((each) =>
    typeof each === 'string'
      ? { kind: 'text', text: each }
      : { kind: 'tokens', tokens: Uint32Array.from(each) },
  )
}

const isTokens = (prompt: readonly (string | number | number[])[]): prompt is readonly number[] =>
  typeof prompt[0] === 'number'

/** A prompt that is no chat has no tools; the type knows only chats' reasons. */
const reasonOf = (reason: FinishReason) => (reason === 'tool_calls' ? 'stop' : reason)

function completionWording(card: ModelCard, includeUsage: boolean): Wording {
  const head = {
    id: `cmpl-${randomUUID()}`,
    object: 'text_completion',
    created: Math.floor(Date.now() / 1000),
    model: card.id,
    ...(card.info ? { system_fingerprint: card.info.fingerprint.build } : {}),
  } as const
  const chunk = (index: number, text: string, finishReason: 'stop' | 'length' | null) =>
    ({
      ...head,
      choices: [{ index, text, logprobs: null, finish_reason: finishReason }],
      ...(includeUsage ? { usage: null } : {}),
    }) satisfies Chunk
  return {
    opening: () => null,
    text: (index, text) => chunk(index, text, null),
    finish: (index, reason) => chunk(index, '', reasonOf(reason)),
    usage: (receipt) =>
      ({
        ...head,
        choices: [],
        usage: toUsage(receipt),
        cache: toCacheObject(receipt),
        timings: toTimings(receipt),
      }) satisfies Chunk,
    whole: (outcomes, receipt) =>
      ({
        ...head,
        choices: outcomes.map(({ text, finishReason }, index) => ({
          index,
          text,
          logprobs: null,
          finish_reason: reasonOf(finishReason),
        })),
        usage: toUsage(receipt),
        cache: toCacheObject(receipt),
        timings: toTimings(receipt),
      }) satisfies Extended<OpenAI.Completion>,
  }
}

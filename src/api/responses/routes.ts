/** `POST /v1/responses`, which stores nothing, and what counts a prompt's tokens beforehand. */
import { randomInt, randomUUID } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type OpenAI from 'openai'
import { fromResponses, type ResponsesItem } from '../../chat/from-responses.ts'
import type { Chat } from '../../chat/messages.ts'
import { readSampling } from '../../chat/sampling.ts'
import { readTextFormat } from '../../chat/text-format.ts'
import { offeredFunctions, readToolChoice, toConstraint } from '../../chat/tool-choice.ts'
import type { AnswerConstraint, GenerateRequest } from '../../pipeline/types.ts'
import { openAnswer } from '../answer.ts'
import { readChatPrompt } from '../chat-prompt.ts'
import type { ApiContext, Server } from '../context.ts'
import { chooseModel } from '../model-choice.ts'
import { withoutLegacy } from '../openai/legacy.ts'
import { readChat } from '../openai/request.ts'
import { ApplyTemplateSchema } from '../openai/schema.ts'
import { confirmedHeaders } from '../plan-headers.ts'
import { readProvenance } from '../provenance.ts'
import { streamReply } from '../stream-reply.ts'
import { openOutput } from './output.ts'
import type { ResponseHead } from './response.ts'
import {
  type InputTokensRequest,
  InputTokensSchema,
  type ResponsesRequest,
  ResponsesSchema,
} from './schema.ts'
import { responseStream, wholeResponse } from './stream.ts'
import { refuseUnsupported } from './unsupported.ts'

export function responseRoutes(server: Server, context: ApiContext): void {
  const { service } = context
  server.post('/v1/responses', { schema: { body: ResponsesSchema } }, async (request, reply) => {
    const { body } = request
    refuseUnsupported(body)
    const { id: model } = chooseModel(service.models(), body.model)
    const generate: GenerateRequest = {
      ...readShared(body, request),
      ...readChatPrompt(toChat(body), context, request),
      model,
      maxTokens: body.max_output_tokens ?? null,
      parallelToolCalls: body.parallel_tool_calls ?? true,
      constraint: readConstraint(body),
      topLogprobs: topLogprobsOf(body),
    }
    const head: ResponseHead = {
      id: `resp_${randomUUID().replaceAll('-', '')}`,
      model,
      createdAtMs: Date.now(),
      body,
    }
    const output = openOutput({
      sealsReasoning: body.include?.includes('reasoning.encrypted_content') === true,
    })
    const controller = context.answers.follow(reply.raw)
    const answer = openAnswer(service, generate, controller.signal)
    if (body.stream !== true) {
      const { response, receipt } = await wholeResponse(head, await answer, output)
      return reply.headers(confirmedHeaders(receipt)).send(response)
    }
    const stream = { first: answer, ...responseStream(head, answer, output) }
    return streamReply(context, stream, request, reply, controller)
  })
  countingRoutes(server, context)
}

function countingRoutes(server: Server, context: ApiContext): void {
  const { service } = context
  const count = async (chat: Chat, name: string | null | undefined, request: FastifyRequest) => {
    const { id } = chooseModel(service.models(), name)
    const { prompt } = readChatPrompt(chat, context, request)
    const text = await service.render(id, prompt.input)
    // As the pipeline does it: a template writes the beginning-of-text token itself.
    const tokens = await service.tokenize(id, text, { addSpecial: false, parseSpecial: true })
    return {
      object: 'response.input_tokens',
      input_tokens: tokens.length,
    } satisfies OpenAI.Responses.InputTokenCountResponse
  }
  server.post(
    '/v1/responses/input_tokens',
    { schema: { body: InputTokensSchema } },
    async (request) => {
      refuseUnsupported(request.body)
      return count(toChat(request.body), request.body.model, request)
    },
  )
  server.post(
    '/v1/chat/completions/input_tokens',
    { schema: { body: ApplyTemplateSchema } },
    async (request) => count(readChat(withoutLegacy(request.body)), request.body.model, request),
  )
}

function toChat(body: InputTokensRequest & { readonly tool_choice?: unknown }): Chat {
  return fromResponses({
    instructions: body.instructions,
    input: body.input as string | ResponsesItem[] | null | undefined,
    tools: body.tools,
    toolChoice: body.tool_choice === 'none' ? 'none' : 'auto',
    effort: body.reasoning?.effort,
    templateArgs: body.chat_template_kwargs as Readonly<Record<string, unknown>> | null,
  })
}

function readConstraint(
  body: ResponsesRequest & { readonly tool_choice?: unknown },
): AnswerConstraint | null {
  return toConstraint({
    text: readTextFormat(body.text?.format, 'text.format'),
    tools: offeredFunctions(body.tools ?? []),
    choice: readToolChoice(body.tool_choice),
    parallel: body.parallel_tool_calls ?? true,
  })
}

/** Asking for some is asking for logprobs, as `include` does; null: none are wanted. */
function topLogprobsOf({ include, top_logprobs: count }: ResponsesRequest): number | null {
  const isIncluded = include?.includes('message.output_text.logprobs') === true
  return isIncluded || (count ?? 0) > 0 ? (count ?? 0) : null
}

function readShared(
  body: ResponsesRequest,
  request: FastifyRequest,
): Omit<GenerateRequest, 'model' | 'prompt' | 'hygiene' | 'maxTokens'> {
  return {
    requestId: request.id,
    dialect: 'responses',
    sampling: readSampling(
      {
        temperature: body.temperature,
        topP: body.top_p,
        frequencyPenalty: body.frequency_penalty,
        presencePenalty: body.presence_penalty,
      },
      {
        temperature: 'temperature',
        topP: 'top_p',
        topK: 'top_k',
        minP: 'min_p',
        repeatPenalty: 'repeat_penalty',
        frequencyPenalty: 'frequency_penalty',
        presencePenalty: 'presence_penalty',
        seed: 'seed',
      },
      randomInt(2 ** 32),
    ),
    stop: [],
    ...readProvenance(request, body, {
      cachePrompt: body.cache_prompt,
      salt: body.cache_salt,
      mode: body.prompt_cache_options?.mode,
      hasBreakpoints: hasBreakpoints(body.input),
      ttl: body.prompt_cache_options?.ttl,
      ttlField: 'prompt_cache_options.ttl',
      retention: body.prompt_cache_retention,
    }),
    ignoreEnd: false,
  }
}

function hasBreakpoints(input: ResponsesRequest['input']): boolean {
  if (!Array.isArray(input)) return false
  return input.some((item: { readonly content?: unknown }) => {
    const parts = Array.isArray(item.content) ? item.content : []
    return parts.some((part: unknown) => Object(part).prompt_cache_breakpoint != null)
  })
}

/** `POST /v1/messages` and `POST /v1/messages/count_tokens`. */
import { randomInt, randomUUID } from 'node:crypto'
import type Anthropic from '@anthropic-ai/sdk'
import type { FastifyRequest } from 'fastify'
import { type AnthropicBlock, fromAnthropic } from '../../chat/from-anthropic.ts'
import type { Chat } from '../../chat/messages.ts'
import { readSampling } from '../../chat/sampling.ts'
import { readTextFormat } from '../../chat/text-format.ts'
import { offeredTools, toConstraint } from '../../chat/tool-choice.ts'
import { PrefixdError, shown } from '../../errors.ts'
import type { AnswerConstraint, GenerateRequest } from '../../pipeline/types.ts'
import { collectAnswer, openAnswer } from '../answer.ts'
import { readChatPrompt } from '../chat-prompt.ts'
import type { ApiContext, Server } from '../context.ts'
import type { ErrorReply } from '../errors.ts'
import { chooseModel } from '../model-choice.ts'
import { readStop } from '../openai/request.ts'
import { confirmedHeaders } from '../plan-headers.ts'
import { readProvenance } from '../provenance.ts'
import { eventFrame } from '../sse.ts'
import { streamReply } from '../stream-reply.ts'
import { promptMemory } from './diagnostics.ts'
import { toAnthropicError } from './errors.ts'
import { hasLateSystem, type LateSystemRole, lateSystemRoles } from './late-system.ts'
import {
  type CountTokensRequest,
  CountTokensSchema,
  type MessagesRequest,
  MessagesSchema,
} from './schema.ts'
import type { Ttl } from './usage.ts'
import { type MessageHead, messageFrames, toMessage } from './wording.ts'

export function messageRoutes(server: Server, context: ApiContext): void {
  const { service, limits } = context
  const memory = promptMemory(limits.rememberedPrompts)
  const lateSystemOf = lateSystemRoles(service)
  const readPrompt = async (body: CountTokensRequest, model: string, request: FastifyRequest) => {
    const lateSystem = hasLateSystem(body) ? await lateSystemOf(model) : 'system'
    return readChatPrompt(readChat(body, lateSystem), context, request)
  }

  server.post('/v1/messages', { schema: { body: MessagesSchema } }, async (request, reply) => {
    const { body } = request
    const { id: model } = chooseModel(service.models(), body.model)
    const ttl = longestTtl(body)
    // Before anything is waited for: a client that is gone by then must be seen to be.
    const controller = context.answers.follow(reply.raw)
    const { prompt, hygiene } = await readPrompt(body, model, request)
    const generate: GenerateRequest = {
      ...readShared(body, request, ttl),
      prompt,
      hygiene,
      model,
      maxTokens: body.max_tokens,
      parallelToolCalls: body.tool_choice?.disable_parallel_tool_use !== true,
      constraint: readConstraint(body),
    }
    const id = `msg_${randomUUID()}`
    const head: MessageHead = {
      id,
      model,
      ttl: ttl ?? '5m',
      diagnose: (counts) => {
        if (body.diagnostics == null) return null
        const { tenant } = generate
        const previousId = body.diagnostics.previous_message_id ?? null
        const { input } = prompt
        return memory.diagnose(id, previousId, { tenant, model, input }, counts)
      },
    }
    const answer = openAnswer(service, generate, controller.signal)
    if (body.stream !== true) {
      const outcome = await collectAnswer(await answer)
      return reply.headers(confirmedHeaders(outcome.receipt)).send(toMessage(head, outcome))
    }
    const stream = {
      first: answer,
      frames: messageFrames(head, answer),
      pingFrame: () => eventFrame({ type: 'ping' }),
      errorFrame: (error: ErrorReply) => eventFrame(toAnthropicError(error, request.id)),
    }
    return streamReply(context, stream, request, reply, controller)
  })

  server.post(
    '/v1/messages/count_tokens',
    { schema: { body: CountTokensSchema } },
    async (request) => {
      const { body } = request
      const { id } = chooseModel(service.models(), body.model)
      longestTtl(body)
      const { prompt } = await readPrompt(body, id, request)
      const text = await service.render(id, prompt.input)
      // As the pipeline does it: a template writes the beginning-of-text token itself.
      const tokens = await service.tokenize(id, text, { addSpecial: false, parseSpecial: true })
      return { input_tokens: tokens.length } satisfies Anthropic.MessageTokensCount
    },
  )
}

function readShared(
  body: MessagesRequest,
  request: FastifyRequest,
  ttl: Ttl | null,
): Omit<GenerateRequest, 'model' | 'prompt' | 'hygiene' | 'maxTokens'> {
  return {
    requestId: request.id,
    dialect: 'messages',
    sampling: readSampling(
      { temperature: body.temperature, topP: body.top_p, topK: body.top_k },
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
    stop: readStop(body.stop_sequences, 'stop_sequences'),
    ...readProvenance(request, { metadata: body.metadata }, { ttl }),
    ignoreEnd: false,
  }
}

/** Anthropic's words for a choice, and for the older beta's place of the format. */
function readConstraint(body: MessagesRequest): AnswerConstraint | null {
  const { type = 'auto', name } = body.tool_choice ?? {}
  const inConfig = body.output_config?.format
  return toConstraint({
    text:
      inConfig == null
        ? readTextFormat(body.output_format, 'output_format')
        : readTextFormat(inConfig, 'output_config.format'),
    tools: offeredTools(body.tools ?? []),
    choice: {
      mode: type === 'any' || type === 'tool' ? 'required' : type,
      only: type === 'tool' ? [name ?? ''] : null,
    },
    parallel: body.tool_choice?.disable_parallel_tool_use !== true,
  })
}

function readChat(body: CountTokensRequest, lateSystem: LateSystemRole): Chat {
  return fromAnthropic({
    system: body.system as string | AnthropicBlock[] | null | undefined,
    messages: body.messages as readonly { role: string; content: string | AnthropicBlock[] }[],
    tools: body.tools,
    toolChoice: body.tool_choice?.type === 'none' ? 'none' : 'auto',
    thinking: body.thinking,
    effort: body.output_config?.effort,
    lateSystem,
  })
}

/**
 * The longest time that a breakpoint asks for; null without breakpoints. The one at the top is the
 * prompt's end, which is kept anyway. Throws `PREFIXD_E_INVALID_VALUE` for a type or a time that is
 * not known, as Anthropic's API does.
 */
function longestTtl({ cache_control, system, tools, messages }: CountTokensRequest): Ttl | null {
  const marked = [
    markOf({ cache_control }, ''),
    ...marksIn(system, 'system'),
    ...marksIn(tools, 'tools'),
    ...messages.flatMap(({ content }, at) => marksIn(content, `messages[${at}].content`)),
  ]
  let longest: Ttl | null = null
  for (const { control, field } of marked) {
    if (control == null) continue
    const { type, ttl: asked } = control
    if (type !== 'ephemeral') throw unknownWord(`${field}.type`, type, ['ephemeral'])
    const ttl = asked ?? '5m'
    if (ttl !== '5m' && ttl !== '1h') throw unknownWord(`${field}.ttl`, ttl, ['5m', '1h'])
    if (longest !== '1h') longest = ttl
  }
  return longest
}

type CacheControl = NonNullable<MessagesRequest['cache_control']>

const markOf = (block: unknown, place: string) => ({
  control: Object(block).cache_control as CacheControl | null | undefined,
  field: `${place}${place === '' ? '' : '.'}cache_control`,
})

/** Of every block, and of those inside a tool's result. */
function marksIn(blocks: unknown, field: string): ReturnType<typeof markOf>[] {
  if (!Array.isArray(blocks)) return []
  return blocks.flatMap((block: unknown, at) => {
    const place = `${field}[${at}]`
    return [markOf(block, place), ...marksIn(Object(block).content, `${place}.content`)]
  })
}

function unknownWord(field: string, word: string, allowed: readonly string[]): PrefixdError {
  const words = allowed.map((each) => `"${each}"`).join(' or ')
  const message = `${field} must be ${words}, not "${shown(String(word))}".`
  return new PrefixdError('PREFIXD_E_INVALID_VALUE', message, { field })
}

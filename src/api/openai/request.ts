/** The fields that OpenAI's dialects share → what the pipeline needs. */
import { randomInt } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type { RenderInput } from '../../../engines/types.ts'
import { type ChatMessage, toRenderInput } from '../../chat/messages.ts'
import { readSampling } from '../../chat/sampling.ts'
import { limits } from '../../config/limits.ts'
import { PrefixdError } from '../../errors.ts'
import type { GenerateRequest } from '../../pipeline/types.ts'
import { readCacheDirective } from '../cache-directive.ts'
import type { ChatFields, SharedFields } from './schema.ts'

/** Everything but the model, the prompt and the number of tokens. */
export function readShared(
  body: SharedFields,
  request: FastifyRequest,
): Omit<GenerateRequest, 'model' | 'prompt' | 'maxTokens'> {
  const repeatField = body.repeat_penalty == null ? 'repetition_penalty' : 'repeat_penalty'
  return {
    requestId: request.id,
    sampling: readSampling(
      {
        temperature: body.temperature,
        topP: body.top_p,
        topK: body.top_k,
        minP: body.min_p,
        repeatPenalty: body[repeatField],
        frequencyPenalty: body.frequency_penalty,
        presencePenalty: body.presence_penalty,
        seed: body.seed,
      },
      {
        temperature: 'temperature',
        topP: 'top_p',
        topK: 'top_k',
        minP: 'min_p',
        repeatPenalty: repeatField,
        frequencyPenalty: 'frequency_penalty',
        presencePenalty: 'presence_penalty',
        seed: 'seed',
      },
      randomInt(2 ** 32),
    ),
    stop: readStop(body.stop),
    cache: readCacheDirective(body.cache_prompt, request.headers['x-prefixd-cache']),
    ignoreEnd: body.ignore_eos === true,
  }
}

function readStop(stop: SharedFields['stop']): readonly string[] {
  const strings = typeof stop === 'string' ? [stop] : (stop ?? [])
  if (strings.length > limits.stopStrings) {
    throw new PrefixdError(
      'PREFIXD_E_INVALID_VALUE',
      `stop may have ${limits.stopStrings} strings, not ${strings.length}.`,
      { field: 'stop' },
    )
  }
  for (const [index, text] of strings.entries()) {
    if (text.length > 0 && text.length <= limits.stopStringLength) continue
    const field = typeof stop === 'string' ? 'stop' : `stop[${index}]`
    throw new PrefixdError(
      'PREFIXD_E_INVALID_VALUE',
      `${field} must have 1 to ${limits.stopStringLength} characters, not ${text.length}.`,
      { field },
    )
  }
  return strings
}

export function readChat(body: ChatFields & { readonly tool_choice?: unknown }): RenderInput {
  // Both change what the template writes; the named field wins over the general one.
  const templateArgs = {
    ...body.chat_template_kwargs,
    ...(body.reasoning_effort == null ? {} : { reasoning_effort: body.reasoning_effort }),
  }
  return toRenderInput({
    messages: body.messages as readonly ChatMessage[],
    tools: body.tools ?? [],
    toolChoice: body.tool_choice === 'none' ? 'none' : 'auto',
    addGenerationPrompt: body.add_generation_prompt ?? true,
    ...(Object.keys(templateArgs).length > 0 ? { templateArgs } : {}),
  })
}

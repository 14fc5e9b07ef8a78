/** The fields that OpenAI's dialects share → what the pipeline needs. */
import { randomInt } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { type Chat, type ChatMessage, isFunctionTool } from '../../chat/messages.ts'
import { readLogitBias, readSampling } from '../../chat/sampling.ts'
import { readOpenFormat } from '../../chat/text-format.ts'
import { offeredFunctions, readToolChoice, toConstraint } from '../../chat/tool-choice.ts'
import { limits } from '../../config/limits.ts'
import { PrefixdError } from '../../errors.ts'
import type { AnswerConstraint, Dialect, GenerateRequest } from '../../pipeline/types.ts'
import { readProvenance } from '../provenance.ts'
import type { ChatFields, ChatRequest, SharedFields } from './schema.ts'

/** Everything but the model, the prompt with its hygiene, and the number of tokens. */
export function readShared(
  body: SharedFields,
  request: FastifyRequest,
  dialect: Dialect,
): Omit<GenerateRequest, 'model' | 'prompt' | 'hygiene' | 'maxTokens'> {
  const repeatField = body.repeat_penalty == null ? 'repetition_penalty' : 'repeat_penalty'
  return {
    requestId: request.id,
    dialect,
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
    logitBias: readLogitBias(body.logit_bias, 'logit_bias'),
    choices: body.n ?? 1,
    stop: readStop(body.stop, 'stop'),
    ...readProvenance(request, body, {
      cachePrompt: body.cache_prompt,
      salt: body.cache_salt,
      mode: body.prompt_cache_options?.mode,
      hasBreakpoints: hasBreakpoints(body),
      ttl: body.prompt_cache_options?.ttl,
      ttlField: 'prompt_cache_options.ttl',
      retention: body.prompt_cache_retention,
    }),
    ignoreEnd: body.ignore_eos === true,
  }
}

function hasBreakpoints(body: SharedFields & Partial<Pick<ChatFields, 'messages'>>): boolean {
  const contents = (body.messages ?? []).map(({ content }) => content)
  return contents.some(
    (content) =>
      Array.isArray(content) &&
      content.some((part: object) => Object(part).prompt_cache_breakpoint != null),
  )
}

/** `field` is what the dialect calls it. */
export function readStop(stop: SharedFields['stop'], field: string): readonly string[] {
  const strings = typeof stop === 'string' ? [stop] : (stop ?? [])
  if (strings.length > limits.stopStrings) {
    throw new PrefixdError(
      'PREFIXD_E_INVALID_VALUE',
      `${field} may have ${limits.stopStrings} strings, not ${strings.length}.`,
      { field },
    )
  }
  for (const [index, text] of strings.entries()) {
    if (text.length > 0 && text.length <= limits.stopStringLength) continue
    const place = typeof stop === 'string' ? field : `${field}[${index}]`
    throw new PrefixdError(
      'PREFIXD_E_INVALID_VALUE',
      `${place} must have 1 to ${limits.stopStringLength} characters, not ${text.length}.`,
      { field: place },
    )
  }
  return strings
}

/** `field` is where the body has its tools: `tools`, or the older `functions`. */
export function readConstraint(
  body: ChatRequest & { readonly tool_choice?: unknown },
  field: 'tools' | 'functions',
): AnswerConstraint | null {
  const tools = offeredFunctions(body.tools ?? []).map((tool) => ({
    ...tool,
    path: field === 'tools' ? tool.path : tool.path.replace(/^tools(.*)\.function/, 'functions$1'),
  }))
  return toConstraint({
    text: readOpenFormat(body),
    tools,
    choice: readToolChoice(body.tool_choice),
    parallel: body.parallel_tool_calls ?? true,
  })
}

export function readChat(body: ChatFields & { readonly tool_choice?: unknown }): Chat {
  if (body.continue_final_message && body.add_generation_prompt) {
    throw new PrefixdError(
      'PREFIXD_E_INVALID_VALUE',
      'continue_final_message and add_generation_prompt exclude each other.',
      { field: 'continue_final_message', next: 'Leave add_generation_prompt out.' },
    )
  }
  checkFunctions(body.tools ?? [])
  // Both change what the template writes; the named field wins over the general one.
  const templateArgs = {
    // Qwen and GLM ask for the first, DeepSeek and Granite for the second.
    ...(body.reasoning_effort === 'none' ? { enable_thinking: false, thinking: false } : {}),
    ...body.chat_template_kwargs,
    ...(body.reasoning_effort == null ? {} : { reasoning_effort: body.reasoning_effort }),
  }
  return {
    messages: body.messages as readonly ChatMessage[],
    tools: body.tools ?? [],
    toolChoice: body.tool_choice === 'none' ? 'none' : 'auto',
    addGenerationPrompt: body.add_generation_prompt ?? true,
    ...(body.documents?.length ? { documents: body.documents } : {}),
    ...(body.continue_final_message ? { goesOn: true } : {}),
    ...(Object.keys(templateArgs).length > 0 ? { templateArgs } : {}),
  }
}

/** A model calls by name alone. In Responses it stands one level higher, which is a usual slip. */
function checkFunctions(tools: readonly unknown[]): void {
  for (const [index, tool] of tools.entries()) {
    if (!isFunctionTool(tool)) continue
    const { function: inner } = tool as { readonly function?: unknown }
    const { name } = Object(inner) as { readonly name?: unknown }
    if (typeof name === 'string' && name !== '') continue
    const field = `tools[${index}].function.name`
    throw new PrefixdError('PREFIXD_E_INVALID_VALUE', `${field} must be a text.`, {
      field,
      next: 'A tool is {"type": "function", "function": {"name": …, "parameters": …}}.',
    })
  }
}

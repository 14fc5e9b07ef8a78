/**
 * Shapes of OpenAI's requests, as far as we read them. Fields that are not listed are ignored:
 * every agent sends some. Ranges are checked where the values are used, so that all dialects share
 * them.
 */
import { type Static, type TSchema, Type } from 'typebox'
import { limits } from '../../config/limits.ts'

/** Clients send null for what they leave out. */
export const maybe = <T extends TSchema>(schema: T) =>
  Type.Optional(Type.Union([schema, Type.Null()]))
const tokenId = Type.Integer({ minimum: 0, maximum: 2 ** 32 - 1 })
export const tokenArray = Type.Array(tokenId, { minItems: 1, maxItems: limits.contextTokensMax })

export const ModelName = Type.String({ minLength: 1, maxLength: limits.nameLength })

export const TopLogprobs = Type.Integer({ minimum: 0, maximum: limits.topLogprobs })

const shared = {
  model: maybe(ModelName),
  max_tokens: maybe(Type.Integer({ minimum: 0 })),
  stop: maybe(Type.Union([Type.String(), Type.Array(Type.String())])),
  stream: maybe(Type.Boolean()),
  stream_options: maybe(Type.Object({ include_usage: maybe(Type.Boolean()) })),
  temperature: maybe(Type.Number()),
  top_p: maybe(Type.Number()),
  top_k: maybe(Type.Number()),
  min_p: maybe(Type.Number()),
  repeat_penalty: maybe(Type.Number()),
  repetition_penalty: maybe(Type.Number()),
  frequency_penalty: maybe(Type.Number()),
  presence_penalty: maybe(Type.Number()),
  seed: maybe(Type.Number()),
  n: maybe(Type.Integer({ minimum: 1, maximum: limits.choices })),
  logit_bias: maybe(Type.Object({})),
  response_format: maybe(Type.Object({ type: Type.String() })),
  json_schema: maybe(Type.Union([Type.Object({}), Type.Boolean()])),
  grammar: maybe(Type.String()),
  structured_outputs: maybe(Type.Object({})),
  guided_json: maybe(Type.Union([Type.Object({}), Type.Boolean(), Type.String()])),
  guided_regex: maybe(Type.String()),
  guided_choice: maybe(Type.Array(Type.String())),
  guided_grammar: maybe(Type.String()),
  ignore_eos: maybe(Type.Boolean()),
  cache_prompt: maybe(Type.Boolean()),
  cache_salt: maybe(Type.String()),
  prompt_cache_options: maybe(
    Type.Object({
      mode: maybe(Type.Enum(['implicit', 'explicit'])),
      ttl: maybe(Type.String()),
    }),
  ),
  prompt_cache_retention: maybe(Type.Enum(['in_memory', 'in-memory', '24h'])),
}

const SharedSchema = Type.Object(shared)
export type SharedFields = Static<typeof SharedSchema>

const ContentPart = Type.Object({ type: Type.String() })

export const MessageSchema = Type.Object({
  role: Type.Enum(['developer', 'system', 'user', 'assistant', 'tool', 'function']),
  content: maybe(Type.Union([Type.String(), Type.Array(ContentPart)])),
  function_call: maybe(Type.Object({ name: Type.String(), arguments: Type.String() })),
})

const MessagesSchema = Type.Array(MessageSchema, {
  minItems: 1,
  maxItems: limits.messagesPerRequest,
})

/** What goes into the template; also the body of `/apply-template`. */
const chat = {
  messages: MessagesSchema,
  tools: maybe(Type.Array(Type.Object({}))),
  functions: maybe(Type.Array(Type.Object({ name: Type.String() }))),
  function_call: maybe(
    Type.Union([Type.Enum(['auto', 'none']), Type.Object({ name: Type.String() })]),
  ),
  documents: maybe(Type.Array(Type.Object({}))),
  continue_final_message: maybe(Type.Boolean()),
  chat_template_kwargs: maybe(Type.Object({})),
  reasoning_effort: maybe(Type.String({ maxLength: limits.nameLength })),
  add_generation_prompt: maybe(Type.Boolean()),
  parallel_tool_calls: maybe(Type.Boolean()),
}

const ChatFieldsSchema = Type.Object(chat)
export type ChatFields = Static<typeof ChatFieldsSchema>

export const ChatRequestSchema = Type.Object({
  ...shared,
  ...chat,
  max_completion_tokens: maybe(Type.Integer({ minimum: 0 })),
  logprobs: maybe(Type.Boolean()),
  top_logprobs: maybe(TopLogprobs),
})
export type ChatRequest = Static<typeof ChatRequestSchema>

export const ApplyTemplateSchema = Type.Object({ model: maybe(ModelName), ...chat })

export const CompletionRequestSchema = Type.Object({
  ...shared,
  logprobs: maybe(TopLogprobs),
  echo: maybe(Type.Boolean()),
  best_of: maybe(Type.Integer()),
  suffix: maybe(Type.String()),
  prompt: Type.Union(
    [
      Type.String(),
      Type.Array(Type.String(), { minItems: 1, maxItems: limits.promptsPerRequest }),
      tokenArray,
      Type.Array(tokenArray, { minItems: 1, maxItems: limits.promptsPerRequest }),
    ],
    {
      description:
        'a string, an array of strings, an array of token ids, or an array of such arrays ' +
        `(${limits.promptsPerRequest} prompts at most, none of them without tokens)`,
    },
  ),
})
export type CompletionRequest = Static<typeof CompletionRequestSchema>

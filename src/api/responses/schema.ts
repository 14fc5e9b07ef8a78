/**
 * Shapes of Responses requests, as far as we read them. Fields that are not listed are ignored:
 * every agent sends some. What an item of a type needs is checked where it is translated.
 */
import { type Static, Type } from 'typebox'
import { limits } from '../../config/limits.ts'
import { ModelName, maybe, TopLogprobs } from '../openai/schema.ts'

const prompt = {
  model: maybe(ModelName),
  input: maybe(
    Type.Union([
      Type.String(),
      Type.Array(Type.Object({}), { maxItems: limits.messagesPerRequest }),
    ]),
  ),
  instructions: maybe(Type.String()),
  tools: maybe(Type.Array(Type.Object({ type: Type.String() }))),
  reasoning: maybe(
    Type.Object({
      effort: maybe(Type.String({ maxLength: limits.nameLength })),
      summary: maybe(Type.String({ maxLength: limits.nameLength })),
    }),
  ),
  chat_template_kwargs: maybe(Type.Object({})),
}

export const InputTokensSchema = Type.Object(prompt)

export const ResponsesSchema = Type.Object({
  ...prompt,
  stream: maybe(Type.Boolean()),
  max_output_tokens: maybe(Type.Integer({ minimum: 0 })),
  parallel_tool_calls: maybe(Type.Boolean()),
  text: maybe(
    Type.Object({
      format: maybe(Type.Object({ type: Type.String() })),
      verbosity: maybe(Type.Enum(['low', 'medium', 'high'])),
    }),
  ),
  include: maybe(Type.Array(Type.String())),
  metadata: maybe(Type.Object({})),
  max_tool_calls: maybe(Type.Integer()),
  safety_identifier: maybe(Type.String()),
  temperature: maybe(Type.Number()),
  top_p: maybe(Type.Number()),
  top_logprobs: maybe(TopLogprobs),
  frequency_penalty: maybe(Type.Number()),
  presence_penalty: maybe(Type.Number()),
  cache_prompt: maybe(Type.Boolean()),
  cache_salt: maybe(Type.String()),
  prompt_cache_key: maybe(Type.String()),
  prompt_cache_options: maybe(
    Type.Object({
      mode: maybe(Type.Enum(['implicit', 'explicit'])),
      ttl: maybe(Type.String()),
    }),
  ),
  prompt_cache_retention: maybe(Type.Enum(['in_memory', 'in-memory', '24h'])),
})
export type ResponsesRequest = Static<typeof ResponsesSchema>
export type InputTokensRequest = Static<typeof InputTokensSchema>

/**
 * Shapes of Anthropic's requests, as far as we read them. Fields that are not listed are ignored:
 * every agent sends some. What a block of a type needs is checked where it is translated.
 */
import { type Static, Type } from 'typebox'
import { limits } from '../../config/limits.ts'
import { ModelName, maybe } from '../openai/schema.ts'

const CacheControl = Type.Object({ type: Type.String(), ttl: maybe(Type.String()) })
const Block = Type.Object({ type: Type.String(), cache_control: maybe(CacheControl) })
const Content = Type.Union([Type.String(), Type.Array(Block)])

const ToolChoice = Type.Object({
  type: Type.Enum(['auto', 'any', 'tool', 'none']),
  name: maybe(ModelName),
  disable_parallel_tool_use: maybe(Type.Boolean()),
})

/** What becomes the prompt. */
const prompt = {
  model: maybe(ModelName),
  system: maybe(Content),
  messages: Type.Array(
    Type.Object({ role: Type.Enum(['user', 'assistant', 'system']), content: Content }),
    { minItems: 1, maxItems: limits.messagesPerRequest },
  ),
  tools: maybe(Type.Array(Type.Object({ cache_control: maybe(CacheControl) }))),
  tool_choice: maybe(ToolChoice),
  thinking: maybe(Type.Object({ type: Type.String() })),
  output_config: maybe(
    Type.Object({
      effort: maybe(Type.String({ maxLength: limits.nameLength })),
      format: maybe(Type.Object({})),
    }),
  ),
  output_format: maybe(Type.Object({})),
  cache_control: maybe(CacheControl),
}

export const CountTokensSchema = Type.Object(prompt)
export type CountTokensRequest = Static<typeof CountTokensSchema>

export const MessagesSchema = Type.Object({
  ...prompt,
  max_tokens: Type.Integer({ minimum: 0 }),
  stream: maybe(Type.Boolean()),
  stop_sequences: maybe(Type.Array(Type.String())),
  temperature: maybe(Type.Number()),
  top_p: maybe(Type.Number()),
  top_k: maybe(Type.Number()),
  metadata: maybe(Type.Object({})),
  diagnostics: maybe(
    Type.Object({
      previous_message_id: maybe(Type.String({ maxLength: limits.nameLength })),
    }),
  ),
})
export type MessagesRequest = Static<typeof MessagesSchema>

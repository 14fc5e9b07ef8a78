/** `@anthropic-ai/sdk`. */
import Anthropic, {
  AuthenticationError,
  BadRequestError,
  NotFoundError,
  RateLimitError,
} from '@anthropic-ai/sdk'
import {
  type ClientLibrary,
  cityJsonSchema,
  type SayOptions,
  type Usage,
  weather,
} from './client-library.ts'

/** Three numbers that must be the whole prompt. */
const usageOf = ({ usage }: Anthropic.Message): Usage => ({
  promptTokens:
    usage.input_tokens +
    (usage.cache_read_input_tokens ?? 0) +
    (usage.cache_creation_input_tokens ?? 0),
  cachedTokens: usage.cache_read_input_tokens ?? -1,
})

const textOf = ({ content }: Anthropic.Message): string =>
  content.map((block) => (block.type === 'text' ? block.text : '')).join('')
const reasoningOf = ({ content }: Anthropic.Message): string =>
  content.map((block) => (block.type === 'thinking' ? block.thinking : '')).join('')

const tools: Anthropic.Tool[] = [
  {
    name: weather.name,
    description: weather.description,
    input_schema: { ...weather.parameters, required: ['city'] },
  },
]

export const anthropicMessages: ClientLibrary = {
  isError: {
    badRequest: (error) => error instanceof BadRequestError,
    noKey: (error) => error instanceof AuthenticationError,
    notFound: (error) => error instanceof NotFoundError,
    tooMany: (error) => error instanceof RateLimitError,
  },
  readsReasoning: true,
  open({ url, apiKey = 'none', model = 'fake', maxTokens = 2000 }) {
    const client = new Anthropic({ baseURL: url, apiKey, maxRetries: 0 })
    const messages: Anthropic.MessageParam[] = []
    // The SDK's types have lost the field; the API has not.
    const settings = { model, max_tokens: maxTokens, temperature: 0, messages }

    async function ask(more: object, { stream, signal, onText }: SayOptions = {}) {
      const request = { ...settings, ...more }
      const passed = signal === undefined ? {} : { signal }
      if (!stream) return keep(await client.messages.create(request, passed))
      const running = client.messages.stream(request, passed)
      running.on('text', () => onText?.())
      return keep(await running.finalMessage())
    }
    const keep = (message: Anthropic.Message): Anthropic.Message => {
      messages.push({ role: 'assistant', content: message.content })
      return message
    }

    return {
      async say(text, how) {
        messages.push({ role: 'user', content: text })
        const message = await ask({}, how)
        return { text: textOf(message), reasoning: reasoningOf(message), ...usageOf(message) }
      },
      async loop(text) {
        messages.push({ role: 'user', content: text })
        const asked = await ask({ tools })
        const call = asked.content.find((block) => block.type === 'tool_use')
        if (call === undefined) throw new Error('a tool must be called')
        const result = { type: 'tool_result' as const, tool_use_id: call.id }
        messages.push({ role: 'user', content: [{ ...result, content: weather.result }] })
        const answered = await ask({ tools })
        return {
          call: { name: call.name, city: (call.input as { city?: unknown }).city },
          asked: usageOf(asked),
          answered: usageOf(answered),
          text: textOf(answered),
        }
      },
      async structured(text) {
        messages.push({ role: 'user', content: text })
        const format = { type: 'json_schema' as const, schema: { ...cityJsonSchema } }
        return JSON.parse(textOf(await ask({ output_config: { format } })))
      },
    }
  },
}

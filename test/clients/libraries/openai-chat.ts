/** `openai`, over chat completions. */
import OpenAI, { AuthenticationError, BadRequestError, NotFoundError, RateLimitError } from 'openai'
import {
  type ClientLibrary,
  cityJsonSchema,
  type DialogueOptions,
  type SayOptions,
  type Usage,
  weather,
} from './client-library.ts'

type Message = OpenAI.Chat.ChatCompletionMessageParam
type Reply = OpenAI.ChatCompletion
/** What open models' servers add. */
type Reasoned = { readonly reasoning_content?: string }

export const isOpenAiError: ClientLibrary['isError'] = {
  badRequest: (error) => error instanceof BadRequestError,
  noKey: (error) => error instanceof AuthenticationError,
  notFound: (error) => error instanceof NotFoundError,
  tooMany: (error) => error instanceof RateLimitError,
}

export const openAiClient = ({ url, apiKey = 'none' }: DialogueOptions): OpenAI =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 })

const usageOf = ({ usage }: Reply): Usage => ({
  promptTokens: usage?.prompt_tokens ?? -1,
  cachedTokens: usage?.prompt_tokens_details?.cached_tokens ?? -1,
})

const { result: said, ...described } = weather
const tools = [
  {
    type: 'function' as const,
    function: { ...described, parameters: { ...described.parameters } },
  },
]

export const openAiChat: ClientLibrary = {
  isError: isOpenAiError,
  readsReasoning: true,
  open(options) {
    const { model = 'fake', maxTokens = 2000 } = options
    const client = openAiClient(options)
    const messages: Message[] = []
    const settings = { model, temperature: 0, max_tokens: maxTokens }

    async function ask(more: object, { stream, signal, onText }: SayOptions = {}): Promise<Reply> {
      const request = { ...settings, messages, ...more }
      const passed = signal === undefined ? {} : { signal }
      if (!stream) return client.chat.completions.create(request, passed)
      const streaming = { ...request, stream_options: { include_usage: true } }
      const running = client.chat.completions.stream(streaming, passed)
      running.on('content', () => onText?.())
      let reasoning = ''
      running.on('chunk', ({ choices }) => {
        reasoning += (choices[0]?.delta as Reasoned | undefined)?.reasoning_content ?? ''
      })
      const reply = await running.finalChatCompletion()
      // The SDK joins the fields that it knows; of others it keeps the first piece.
      if (reasoning !== '') {
        const message: Reasoned = { reasoning_content: reasoning }
        Object.assign(reply.choices[0]?.message ?? {}, message)
      }
      return reply
    }
    const keep = (reply: Reply): OpenAI.ChatCompletionMessage => {
      const message = reply.choices[0]?.message
      if (message === undefined) throw new Error('a reply has a choice')
      messages.push(message)
      return message
    }

    return {
      async say(text, how) {
        messages.push({ role: 'user', content: text })
        const reply = await ask({}, how)
        const { content, ...rest } = keep(reply)
        const { reasoning_content: reasoning = '' } = rest as Reasoned
        return { text: content ?? '', reasoning, ...usageOf(reply) }
      },
      async loop(text) {
        messages.push({ role: 'user', content: text })
        const asked = await ask({ tools })
        const call = keep(asked).tool_calls?.[0]
        if (call?.type !== 'function') throw new Error('a function must be called')
        messages.push({ role: 'tool', tool_call_id: call.id, content: said })
        const answered = await ask({ tools })
        const { name, arguments: json } = call.function
        return {
          call: { name, city: JSON.parse(json).city },
          asked: usageOf(asked),
          answered: usageOf(answered),
          text: keep(answered).content ?? '',
        }
      },
      async structured(text) {
        messages.push({ role: 'user', content: text })
        const json_schema = { name: 'city', strict: true, schema: { ...cityJsonSchema } }
        const { choices } = await client.chat.completions.parse({
          ...settings,
          messages,
          response_format: { type: 'json_schema', json_schema },
        })
        return choices[0]?.message.parsed
      },
    }
  },
}

/** `openai`, over responses. */
import type OpenAI from 'openai'
import {
  type ClientLibrary,
  cityJsonSchema,
  type SayOptions,
  type Usage,
  weather,
} from './client-library.ts'
import { isOpenAiError, openAiClient } from './openai-chat.ts'

type Response = OpenAI.Responses.Response
type Item = OpenAI.Responses.ResponseInputItem

const usageOf = ({ usage }: Response): Usage => ({
  promptTokens: usage?.input_tokens ?? -1,
  cachedTokens: usage?.input_tokens_details.cached_tokens ?? -1,
})

const { result: said, ...described } = weather
const tools = [
  {
    type: 'function' as const,
    strict: true,
    ...described,
    parameters: { ...described.parameters },
  },
]

function reasoningOf({ output }: Response): string {
  const items = output.filter((item) => item.type === 'reasoning')
  return items.flatMap(({ content = [] }) => content.map(({ text }) => text)).join('')
}

export const openAiResponses: ClientLibrary = {
  isError: isOpenAiError,
  readsReasoning: true,
  open(options) {
    const { model = 'fake', maxTokens = 2000 } = options
    const client = openAiClient(options)
    const input: Item[] = []
    const settings = { model, temperature: 0, max_output_tokens: maxTokens, input }

    async function ask(more: object, { stream, signal, onText }: SayOptions = {}) {
      const request = { ...settings, ...more }
      const passed = signal === undefined ? {} : { signal }
      if (!stream) return keep(await client.responses.create(request, passed))
      const running = client.responses.stream(request, passed)
      running.on('response.output_text.delta', () => onText?.())
      return keep(await running.finalResponse())
    }
    const keep = (response: Response): Response => {
      input.push(...(response.output as Item[]))
      return response
    }

    return {
      async say(text, how) {
        input.push({ role: 'user', content: text })
        const response = await ask({}, how)
        const reasoning = reasoningOf(response)
        return { text: response.output_text, reasoning, ...usageOf(response) }
      },
      async loop(text) {
        input.push({ role: 'user', content: text })
        const asked = await ask({ tools })
        const call = asked.output.find((item) => item.type === 'function_call')
        if (call === undefined) throw new Error('a function must be called')
        input.push({ type: 'function_call_output', call_id: call.call_id, output: said })
        const answered = await ask({ tools })
        return {
          call: { name: call.name, city: JSON.parse(call.arguments).city },
          asked: usageOf(asked),
          answered: usageOf(answered),
          text: answered.output_text,
        }
      },
      async structured(text) {
        input.push({ role: 'user', content: text })
        const schema = { ...cityJsonSchema }
        const format = { type: 'json_schema' as const, name: 'city', strict: true, schema }
        const response = await client.responses.parse({ ...settings, text: { format } })
        return response.output_parsed
      },
    }
  },
}

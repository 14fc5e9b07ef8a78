/** `@openai/agents`, over responses and over chat completions. */
import {
  Agent,
  type AgentInputItem,
  type ModelResponse,
  OpenAIProvider,
  Runner,
  tool,
  user,
} from '@openai/agents'
import { z } from 'zod'
import { type ClientLibrary, type Usage, weather } from './client-library.ts'
import { isOpenAiError, openAiClient } from './openai-chat.ts'

const usageOf = ({ usage }: ModelResponse): Usage => ({
  promptTokens: usage.inputTokens,
  cachedTokens: usage.inputTokensDetails[0]?.cached_tokens ?? -1,
})

const citySchema = z.object({ city: z.string(), size: z.enum(['large', 'small']) })

/** Over responses it makes text of summaries alone; the rest stays, and goes back, as it came. */
function reasoningOf({ output }: ModelResponse): string {
  const items = output.filter((item) => item.type === 'reasoning')
  return items
    .flatMap(({ rawContent, providerData }) => textsIn(rawContent ?? providerData?.content))
    .join('')
}

const textsIn = (parts: unknown): string[] =>
  Array.isArray(parts) ? parts.map(({ text }: { text: string }) => text) : []

function libraryOf(useResponses: boolean): ClientLibrary {
  return {
    isError: isOpenAiError,
    // Over chat completions it reads no other name.
    flags: { 'reasoning-field': 'reasoning' },
    readsReasoning: true,
    open(options) {
      const { model = 'fake', maxTokens = 2000 } = options
      const openAIClient = openAiClient(options)
      const modelProvider = new OpenAIProvider({ openAIClient, useResponses })
      const runner = new Runner({ modelProvider, tracingDisabled: true })
      const settings = { name: 'tester', model, modelSettings: { temperature: 0, maxTokens } }
      let history: AgentInputItem[] = []
      const last = (responses: readonly ModelResponse[]): ModelResponse => {
        const response = responses.at(-1)
        if (response === undefined) throw new Error('a run has a response')
        return response
      }

      return {
        async say(text, { stream, signal, onText } = {}) {
          const agent = new Agent(settings)
          const input = [...history, user(text)]
          const passed = signal === undefined ? {} : { signal }
          if (!stream) {
            const result = await runner.run(agent, input, passed)
            history = result.history
            const response = last(result.rawResponses)
            const reasoning = reasoningOf(response)
            return { text: result.finalOutput ?? '', reasoning, ...usageOf(response) }
          }
          const result = await runner.run(agent, input, { ...passed, stream: true })
          for await (const event of result) {
            const isRaw = event.type === 'raw_model_stream_event'
            if (isRaw && event.data.type === 'output_text_delta') onText?.()
          }
          await result.completed
          // An aborted run just ends; whoever waits for its answer must learn of it.
          signal?.throwIfAborted()
          history = result.history
          const response = last(result.rawResponses)
          const reasoning = reasoningOf(response)
          return { text: result.finalOutput ?? '', reasoning, ...usageOf(response) }
        },
        async loop(text) {
          let city: unknown
          const { name, description, result: said } = weather
          const parameters = z.object({ city: z.string() })
          const execute = async (given: { city: string }) => {
            city = given.city
            return said
          }
          const agent = new Agent({
            ...settings,
            tools: [tool({ name, description, parameters, execute })],
          })
          const result = await runner.run(agent, [...history, user(text)])
          const [asked, answered] = result.rawResponses
          if (asked === undefined || answered === undefined) throw new Error('no tool was called')
          return {
            call: { name, city },
            asked: usageOf(asked),
            answered: usageOf(answered),
            text: result.finalOutput ?? '',
          }
        },
        async structured(text) {
          const agent = new Agent({ ...settings, outputType: citySchema })
          return (await runner.run(agent, [...history, user(text)])).finalOutput
        },
      }
    },
  }
}

export const agentsOverResponses = libraryOf(true)
export const agentsOverChat = libraryOf(false)

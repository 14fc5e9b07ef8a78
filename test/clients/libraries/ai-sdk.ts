/** `ai`, with its providers for the three dialects. */
import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenResponses } from '@ai-sdk/open-responses'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import {
  APICallError,
  generateText,
  isStepCount,
  jsonSchema,
  type LanguageModel,
  type LanguageModelUsage,
  type ModelMessage,
  Output,
  streamText,
  tool,
} from 'ai'
import {
  type ClientLibrary,
  cityJsonSchema,
  type DialogueOptions,
  type Usage,
  weather,
} from './client-library.ts'

const usageOf = ({ inputTokens, inputTokenDetails }: LanguageModelUsage): Usage => ({
  promptTokens: inputTokens ?? -1,
  cachedTokens: inputTokenDetails.cacheReadTokens ?? -1,
})

const tools = {
  [weather.name]: tool({
    description: weather.description,
    inputSchema: jsonSchema<{ city: string }>({ ...weather.parameters, required: ['city'] }),
    execute: async () => weather.result,
  }),
}

/** It has one class for all of them, and its packages may each have their own copy of that. */
const hasStatus = (status: number) => (error: unknown) =>
  APICallError.isInstance(error) && error.statusCode === status

const isError: ClientLibrary['isError'] = {
  badRequest: hasStatus(400),
  noKey: hasStatus(401),
  notFound: hasStatus(404),
  tooMany: hasStatus(429),
}

function libraryOf(modelOf: (options: DialogueOptions) => LanguageModel): ClientLibrary {
  return {
    isError,
    readsReasoning: true,
    open(options) {
      const { maxTokens: maxOutputTokens = 2000 } = options
      const messages: ModelMessage[] = []
      const settings = { model: modelOf(options), maxOutputTokens, temperature: 0, maxRetries: 0 }
      return {
        async say(text, { stream, signal, onText } = {}) {
          messages.push({ role: 'user', content: text })
          const request = { ...settings, messages, ...(signal ? { abortSignal: signal } : {}) }
          if (!stream) {
            const result = await generateText(request)
            messages.push(...result.response.messages)
            const { text: said, reasoningText: reasoning = '', usage } = result
            return { text: said, reasoning, ...usageOf(usage) }
          }
          const running = streamText({ ...request, onError: () => {} })
          for await (const _ of running.textStream) onText?.()
          // An aborted stream just ends; whoever waits for its answer must learn of it.
          signal?.throwIfAborted()
          messages.push(...(await running.response).messages)
          const reasoning = (await running.reasoningText) ?? ''
          return { text: await running.text, reasoning, ...usageOf(await running.usage) }
        },
        async loop(text) {
          messages.push({ role: 'user', content: text })
          const stopWhen = isStepCount(2)
          const { steps, text: said } = await generateText({
            ...settings,
            messages,
            tools,
            stopWhen,
          })
          const [asked, answered] = steps
          const call = asked?.toolCalls[0]
          if (asked === undefined || answered === undefined || call === undefined) {
            throw new Error('a tool must be called')
          }
          return {
            call: { name: call.toolName, city: (call.input as { city?: unknown }).city },
            asked: usageOf(asked.usage),
            answered: usageOf(answered.usage),
            text: said,
          }
        },
        async structured(text) {
          messages.push({ role: 'user', content: text })
          const schema = jsonSchema<object>({
            ...cityJsonSchema,
            properties: { city: { type: 'string' }, size: { enum: ['large', 'small'] } },
            required: ['city', 'size'],
          })
          const output = Output.object({ schema })
          return (await generateText({ ...settings, messages, output })).output
        },
      }
    },
  }
}

export const aiOverChat = libraryOf(({ url, apiKey = 'none', model = 'fake' }) =>
  createOpenAICompatible({
    name: 'prefixd',
    baseURL: `${url}/v1`,
    apiKey,
    includeUsage: true,
    supportsStructuredOutputs: true,
  })(model),
)

export const aiOverMessages = libraryOf(({ url, apiKey = 'none', model = 'fake' }) =>
  createAnthropic({ baseURL: `${url}/v1`, apiKey })(model),
)

export const aiOverResponses = libraryOf(({ url, apiKey = 'none', model = 'fake' }) =>
  createOpenResponses({ name: 'prefixd', url: `${url}/v1/responses`, apiKey })(model),
)

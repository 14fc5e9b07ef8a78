/** `@langchain/openai`, over chat completions and over responses. */
import {
  type AIMessageChunk,
  type BaseMessage,
  HumanMessage,
  ToolMessage,
  type UsageMetadata,
} from '@langchain/core/messages'
import { ChatOpenAI } from '@langchain/openai'
import {
  type ClientLibrary,
  cityJsonSchema,
  type SayOptions,
  type Usage,
  weather,
} from './client-library.ts'
import { isOpenAiError } from './openai-chat.ts'

function usageOf(message: AIMessageChunk): Usage {
  // The type of a message whose tools are not known says that it has none.
  const usage = message.usage_metadata as UsageMetadata | undefined
  return {
    promptTokens: usage?.input_tokens ?? -1,
    cachedTokens: usage?.input_token_details?.cache_read ?? -1,
  }
}

const { result: said, ...described } = weather
const tools = [{ type: 'function', function: described }]

/** Where it keeps what open models' servers add to a message. */
function reasoningOf({ additional_kwargs: added }: AIMessageChunk): string {
  return typeof added.reasoning_content === 'string' ? added.reasoning_content : ''
}

function libraryOf(useResponsesApi: boolean): ClientLibrary {
  return {
    isError: isOpenAiError,
    // Over responses it reads summaries alone, and nobody has made one.
    readsReasoning: !useResponsesApi,
    open({ url, apiKey = 'none', model = 'fake', maxTokens = 2000 }) {
      const chat = new ChatOpenAI({
        model,
        apiKey,
        temperature: 0,
        maxTokens,
        maxRetries: 0,
        streamUsage: true,
        useResponsesApi,
        configuration: { baseURL: `${url}/v1` },
      })
      const messages: BaseMessage[] = []

      async function ask({ stream, signal, onText }: SayOptions): Promise<AIMessageChunk> {
        const passed = signal === undefined ? {} : { signal }
        if (!stream) return chat.invoke(messages, passed)
        let whole: AIMessageChunk | undefined
        for await (const chunk of await chat.stream(messages, passed)) {
          if (chunk.text !== '') onText?.()
          whole = whole === undefined ? chunk : whole.concat(chunk)
        }
        if (whole === undefined) throw new Error('a stream has a chunk')
        return whole
      }

      return {
        async say(text, how = {}) {
          messages.push(new HumanMessage(text))
          const message = await ask(how)
          messages.push(message)
          return { text: message.text, reasoning: reasoningOf(message), ...usageOf(message) }
        },
        async loop(text) {
          const withTools = chat.bindTools(tools)
          messages.push(new HumanMessage(text))
          const asked = await withTools.invoke(messages)
          const call = asked.tool_calls?.[0]
          if (call?.id === undefined) throw new Error('a tool must be called')
          messages.push(asked, new ToolMessage({ tool_call_id: call.id, content: said }))
          const answered = await withTools.invoke(messages)
          return {
            call: { name: call.name, city: call.args.city },
            asked: usageOf(asked),
            answered: usageOf(answered),
            text: answered.text,
          }
        },
        structured: (text) =>
          chat
            .withStructuredOutput({ title: 'city', ...cityJsonSchema }, { method: 'jsonSchema' })
            .invoke([...messages, new HumanMessage(text)]),
      }
    },
  }
}

export const langChainOverChat = libraryOf(false)
export const langChainOverResponses = libraryOf(true)

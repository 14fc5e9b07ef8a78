/** Every client library with a real model: what it says is cached is what the engine skipped. */
import { tmpdir } from 'node:os'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createServiceFolder, realFlags, type TestService } from '../support/start-service.ts'
import { aiOverChat, aiOverMessages, aiOverResponses } from './libraries/ai-sdk.ts'
import { anthropicMessages } from './libraries/anthropic-messages.ts'
import { langChainOverChat, langChainOverResponses } from './libraries/langchain.ts'
import { agentsOverChat } from './libraries/openai-agents.ts'
import { openAiChat } from './libraries/openai-chat.ts'
import { openAiResponses } from './libraries/openai-responses.ts'

const folder = createServiceFolder(tmpdir(), afterAll)
let service: TestService
let model: string
beforeAll(async () => {
  service = await folder.start(realFlags())
  const { data } = (await service.get('/v1/models')) as { data: readonly { id: string }[] }
  model = data[0]?.id ?? ''
})

test.each([
  ['openai, chat completions', openAiChat],
  ['openai, responses', openAiResponses],
  ['@anthropic-ai/sdk', anthropicMessages],
  ['ai, chat completions', aiOverChat],
  ['ai, Anthropic’s messages', aiOverMessages],
  ['ai, responses', aiOverResponses],
  ['LangChain, chat completions', langChainOverChat],
  ['LangChain, responses', langChainOverResponses],
  // Over responses it takes an answer that the limit ended for a failure.
  ['the agents SDK, chat completions', agentsOverChat],
])('with a real model %s finds its first turn in the cache', async (name, library) => {
  const dialogue = library.open({ url: service.url, model, maxTokens: 8 })
  const first = await dialogue.say(`${name} asks: what is a cache good for? Be brief.`)
  expect(first.text).toMatch(/\w/)
  const second = await dialogue.say('Again.', { stream: true })
  expect(second.text).toMatch(/\w/)
  // Templates may write an answer's end in other tokens than the model did.
  expect(second.cachedTokens).toBeGreaterThanOrEqual(first.promptTokens)
  expect(second.promptTokens).toBeGreaterThan(second.cachedTokens)
})

import { expect, test } from 'vitest'
import { promptMemory } from '../../src/api/anthropic/diagnostics.ts'
import { type AnthropicChat, fromAnthropic } from '../../src/chat/from-anthropic.ts'
import { toRenderInput } from '../../src/chat/messages.ts'

const user = (content: string) => ({ role: 'user', content })
const tool = (name: string) => ({ name, input_schema: {} })
const base: AnthropicChat = { system: 'Be brief.', tools: [tool('a')], messages: [user('hi')] }
const next: AnthropicChat = {
  ...base,
  messages: [user('hi'), { role: 'assistant', content: 'Hello' }, user('more')],
}

const promptOf = (chat: AnthropicChat, model = 'm', tenant: string | null = null) => ({
  tenant,
  model,
  input: toRenderInput(fromAnthropic(chat)),
})

/** First `base` as msg_1 with 1,000 tokens, then the other prompt with 200 of them restored. */
function diagnose(prompt: ReturnType<typeof promptOf>, previousId: string | null = 'msg_1') {
  const memory = promptMemory(8)
  const counts = { promptTokens: 1000, restoredTokens: 0 }
  expect(memory.diagnose('msg_1', null, promptOf(base), counts)).toBe(null)
  return memory.diagnose('msg_2', previousId, prompt, { promptTokens: 1200, restoredTokens: 200 })
}

test('a prompt that goes on from the earlier one has nothing to say', () => {
  expect(diagnose(promptOf(next))).toBe(null)
  const cache_control = { type: 'ephemeral' }
  const marked = { ...next, system: [{ type: 'text', text: 'Be brief.', cache_control }] }
  expect(diagnose(promptOf(marked))).toBe(null)
})

test.each([
  ['model_changed', promptOf(next, 'other')],
  ['system_changed', promptOf({ ...next, system: 'Be verbose.' })],
  ['tools_changed', promptOf({ ...next, tools: [tool('b')] })],
  ['messages_changed', promptOf({ ...next, messages: [user('hello'), ...next.messages.slice(1)] })],
  ['messages_changed', promptOf({ ...next, messages: [] })],
])('%s says how many tokens it cost', (type, prompt) => {
  expect(diagnose(prompt)).toEqual({
    cache_miss_reason: { type, cache_missed_input_tokens: 800 },
  })
})

test('what there is no word for is unavailable', () => {
  const thinking = { type: 'enabled' }
  expect(diagnose(promptOf({ ...next, thinking }))).toEqual({
    cache_miss_reason: { type: 'unavailable' },
  })
})

test('an unknown message, another key’s, and a forgotten one are not found', () => {
  const notFound = { cache_miss_reason: { type: 'previous_message_not_found' } }
  expect(diagnose(promptOf(next), 'msg_0')).toEqual(notFound)
  expect(diagnose(promptOf(next, 'm', 'another'))).toEqual(notFound)
  const memory = promptMemory(1)
  const counts = { promptTokens: 1, restoredTokens: 0 }
  memory.diagnose('msg_1', null, promptOf(base), counts)
  memory.diagnose('msg_2', null, promptOf(base), counts)
  expect(memory.diagnose('msg_3', 'msg_1', promptOf(next), counts)).toEqual(notFound)
})

import { expect, test } from 'vitest'
import { toRenderInput } from '../../src/chat/messages.ts'

const one = (message: { role: string; [key: string]: unknown }) =>
  toRenderInput({ messages: [message] }).messages[0]

test('text parts are joined as they stand, without anything between them', () => {
  const content = [
    { type: 'text', text: 'a' },
    { type: 'text', text: '\nb' },
  ]
  expect(one({ role: 'user', content })).toEqual({ role: 'user', content: 'a\nb' })
})

test('string and parts of the same text render the same prompt', () => {
  const parts = [{ type: 'text', text: 'same', cache_control: { type: 'ephemeral' } }]
  expect(one({ role: 'user', content: parts })).toEqual(one({ role: 'user', content: 'same' }))
})

test('developer is passed on as system', () => {
  expect(one({ role: 'developer', content: 'be brief' })).toEqual({
    role: 'system',
    content: 'be brief',
  })
})

test('null and absent content become empty text, which templates can add to', () => {
  expect(one({ role: 'assistant', content: null })).toMatchObject({ content: '' })
  expect(one({ role: 'assistant' })).toMatchObject({ content: '' })
})

test('tool calls keep their arguments byte for byte', () => {
  const call = { id: 'c1', type: 'function', function: { name: 'f', arguments: '{"b": 1,"a":2 }' } }
  const message = one({ role: 'assistant', content: null, tool_calls: [call] })
  expect(message?.tool_calls).toEqual([call])
})

test('reasoning is known under both of its names', () => {
  expect(one({ role: 'assistant', content: 'x', reasoning: 'why' })).toEqual({
    role: 'assistant',
    content: 'x',
    reasoning_content: 'why',
  })
  expect(one({ role: 'assistant', content: 'x', reasoning_content: 'why' })).toMatchObject({
    reasoning_content: 'why',
  })
})

test('tools keep their order and the order of their keys', () => {
  const tools = [
    { type: 'function', function: { name: 'z', parameters: { b: 1, a: 2 } } },
    { type: 'function', function: { parameters: {}, name: 'a' } },
  ]
  const input = toRenderInput({ messages: [{ role: 'user', content: 'x' }], tools })
  expect(JSON.stringify(input.tools)).toBe(JSON.stringify(tools))
})

test('tools that only a vendor can run are left out of the prompt', () => {
  const tools = [{ type: 'web_search' }, { type: 'function', function: { name: 'a' } }]
  const input = toRenderInput({ messages: [{ role: 'user', content: 'x' }], tools })
  expect(input.tools).toEqual([tools[1]])
})

test('tool_choice none leaves all tools out, and so does an empty list', () => {
  const messages = [{ role: 'user', content: 'x' }]
  const tools = [{ type: 'function', function: { name: 'a' } }]
  expect(toRenderInput({ messages, tools, toolChoice: 'none' })).not.toHaveProperty('tools')
  expect(toRenderInput({ messages, tools: [] })).not.toHaveProperty('tools')
})

test('a text part without its text is named', () => {
  const message = { role: 'user', content: [{ type: 'text' }] }
  expect(() => one(message)).toThrow(
    expect.objectContaining({
      code: 'PREFIXD_E_INVALID_VALUE',
      field: 'messages[0].content[0].text',
    }),
  )
})

test('breakpoints of messages, parts and tools are places, and no part of what is rendered', () => {
  const cache_control = { type: 'ephemeral' }
  const prompt_cache_breakpoint = { mode: 'explicit' }
  const parts = [
    { type: 'text', text: 'one ', prompt_cache_breakpoint },
    { type: 'text', text: 'two' },
  ]
  const tool = { type: 'function', function: { name: 'a' } }
  const plain = {
    messages: [
      { role: 'user', content: 'one two' },
      { role: 'user', content: 'three' },
    ],
    tools: [tool, tool],
  }
  const marked = {
    messages: [
      { role: 'user', content: parts },
      { role: 'user', content: 'three', cache_control },
    ],
    tools: [tool, { ...tool, cache_control, prompt_cache_breakpoint }],
  }
  const { breakpoints, ...input } = toRenderInput(marked)
  expect(input).toEqual(toRenderInput(plain))
  expect(breakpoints).toEqual([
    { tool: 1 },
    { message: 0, atChar: 4 },
    { message: 1, atChar: null },
  ])
})

import { expect, test } from 'vitest'
import { type AnthropicChat, fromAnthropic } from '../../src/chat/from-anthropic.ts'
import { toRenderInput } from '../../src/chat/messages.ts'

const messagesOf = (chat: AnthropicChat) => toRenderInput(fromAnthropic(chat)).messages

test('a string and one text block, with or without cache_control, give the same prompt', () => {
  const withContent = (content: AnthropicChat['messages'][number]['content']) =>
    messagesOf({ system: content, messages: [{ role: 'user', content }] })
  const plain = withContent('Say pong')
  expect(plain).toEqual([
    { role: 'system', content: 'Say pong' },
    { role: 'user', content: 'Say pong' },
  ])
  expect(withContent([{ type: 'text', text: 'Say pong' }])).toEqual(plain)
  const cache_control = { type: 'ephemeral', ttl: '1h' }
  expect(withContent([{ type: 'text', text: 'Say pong', cache_control }])).toEqual(plain)
})

test('text blocks of one message become its lines', () => {
  const content = ['a', 'b\n', 'c', '\nd', ''].map((text) => ({ type: 'text', text }))
  expect(messagesOf({ messages: [{ role: 'user', content }] })).toEqual([
    { role: 'user', content: 'a\nb\nc\nd\n' },
  ])
})

test('system messages keep their place; those at the beginning become one', () => {
  const chat: AnthropicChat = {
    system: 'one',
    messages: [
      { role: 'system', content: 'two' },
      { role: 'user', content: 'hi' },
      { role: 'system', content: 'three' },
    ],
  }
  expect(messagesOf(chat)).toEqual([
    { role: 'system', content: 'one\ntwo' },
    { role: 'user', content: 'hi' },
    { role: 'system', content: 'three' },
  ])
})

test('where the template cannot write a late system message, it is marked text of the user', () => {
  const chat: AnthropicChat = {
    system: 'one',
    messages: [
      { role: 'user', content: 'hi' },
      { role: 'system', content: 'two' },
      { role: 'assistant', content: 'yes' },
    ],
    lateSystem: 'user',
  }
  expect(messagesOf(chat)).toEqual([
    { role: 'system', content: 'one' },
    { role: 'user', content: 'hi\n<system-reminder>\ntwo\n</system-reminder>' },
    { role: 'assistant', content: 'yes' },
  ])
})

test('a tool loop becomes calls with object arguments and results with the tool’s name', () => {
  const chat: AnthropicChat = {
    messages: [
      { role: 'user', content: 'weather?' },
      {
        role: 'assistant',
        content: [
          { type: 'thinking', thinking: 'I should ask.', signature: 'x' },
          { type: 'redacted_thinking', data: 'opaque' },
          { type: 'text', text: 'Let me look.' },
          { type: 'tool_use', id: 't1', name: 'weather', input: { city: 'Graz' } },
          { type: 'tool_use', id: 't2', name: 'time', input: {}, cache_control: null },
        ],
      },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 't1', content: [{ type: 'text', text: 'sun' }] },
          { type: 'tool_result', tool_use_id: 't2', content: 'noon' },
          { type: 'tool_result', tool_use_id: 't9' },
          { type: 'text', text: 'and now?' },
        ],
      },
    ],
  }
  expect(messagesOf(chat).slice(1)).toEqual([
    {
      role: 'assistant',
      content: 'Let me look.',
      reasoning_content: 'I should ask.',
      tool_calls: [
        { id: 't1', type: 'function', function: { name: 'weather', arguments: { city: 'Graz' } } },
        { id: 't2', type: 'function', function: { name: 'time', arguments: {} } },
      ],
    },
    { role: 'tool', content: 'sun', tool_call_id: 't1', name: 'weather' },
    { role: 'tool', content: 'noon', tool_call_id: 't2', name: 'time' },
    { role: 'tool', content: '', tool_call_id: 't9' },
    { role: 'user', content: 'and now?' },
  ])
})

test('consecutive messages of one role become one', () => {
  const messages = ['a', 'b'].map((content) => ({ role: 'user', content }))
  expect(messagesOf({ messages })).toEqual([{ role: 'user', content: 'a\nb' }])
})

test('tools become functions in the client’s order; a vendor’s own tools are left out', () => {
  const input_schema = { type: 'object', properties: { b: {}, a: {} } }
  const tools = [
    { name: 'z', description: 'Z', input_schema, cache_control: { type: 'ephemeral' } },
    { type: 'web_search_20250305', name: 'web_search' },
    { type: 'custom', name: 'a', input_schema },
  ]
  const messages = [{ role: 'user', content: 'hi' }]
  const input = toRenderInput(fromAnthropic({ messages, tools }))
  expect(JSON.stringify(input.tools)).toBe(
    JSON.stringify([
      {
        type: 'function',
        function: { name: 'z', description: 'Z', parameters: input_schema },
      },
      { type: 'function', function: { name: 'a', parameters: input_schema } },
    ]),
  )
  expect(toRenderInput(fromAnthropic({ messages, tools, toolChoice: 'none' })).tools).toBe(
    undefined,
  )
})

test('thinking and effort reach the template; saying nothing leaves its own default', () => {
  const messages = [{ role: 'user', content: 'hi' }]
  const argsOf = (chat: Partial<AnthropicChat>) => fromAnthropic({ messages, ...chat }).templateArgs
  expect(argsOf({})).toBe(undefined)
  expect(argsOf({ thinking: { type: 'disabled' } })).toMatchObject({ enable_thinking: false })
  expect(argsOf({ thinking: { type: 'adaptive' }, effort: 'high' })).toMatchObject({
    enable_thinking: true,
    reasoning_effort: 'high',
  })
})

test('documents that are text stand between tags, in messages and in results', () => {
  const plain = { type: 'text', media_type: 'text/plain', data: 'Be short.' }
  const blocks = { type: 'content', content: [text('Be'), text('short.')] }
  const result = {
    type: 'tool_result',
    tool_use_id: 't',
    content: [{ type: 'document', source: plain }],
  }
  const content = [
    { type: 'document', source: plain, title: 'Rules', context: 'of the house' },
    { type: 'document', source: blocks, citations: { enabled: true } },
    text('Obey.'),
    result,
  ]
  expect(messagesOf({ messages: [{ role: 'user', content }] })).toMatchObject([
    {
      role: 'user',
      content:
        '<document>\ntitle: Rules\ncontext: of the house\nBe short.\n</document>\n' +
        '<document>\nBe\nshort.\n</document>\nObey.',
    },
    { role: 'tool', content: '<document>\nBe short.\n</document>' },
  ])
})

test('a result that is an error says so, once', () => {
  const resultOf = (fields: object) => {
    const block = { type: 'tool_result', tool_use_id: 't', ...fields }
    return messagesOf({ messages: [{ role: 'user', content: [block] }] })[0]?.content
  }
  expect(resultOf({ content: 'no such file', is_error: true })).toBe('Error:\nno such file')
  expect(resultOf({ is_error: true })).toBe('Error:')
  expect(resultOf({ content: 'TypeError: x', is_error: true })).toBe('TypeError: x')
  expect(resultOf({ content: 'no such file', is_error: false })).toBe('no such file')
})

const image = { type: 'image', source: {} }
const scan = { type: 'document', source: { type: 'base64', data: '' } }
test.each<[string, AnthropicChat]>([
  ['messages[0].content[1]', { messages: [{ role: 'user', content: [text('a'), image] }] }],
  ['system[0]', { system: [image], messages: [] }],
  [
    'messages[0].content[0].content[0]',
    {
      messages: [
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 't', content: [image] }] },
      ],
    },
  ],
  ['messages[0].content[0].source', { messages: [{ role: 'user', content: [scan] }] }],
  ['messages[0].content[0].text', { messages: [{ role: 'user', content: [{ type: 'text' }] }] }],
  [
    'messages[0].content[0].input',
    {
      messages: [
        { role: 'assistant', content: [{ type: 'tool_use', id: 't', name: 'n', input: '{}' }] },
      ],
    },
  ],
  ['tools[0].input_schema', { messages: [], tools: [{ name: 'n' }] }],
  ['tools[1].name', { messages: [], tools: [{ type: 'bash_20250124' }, {}] }],
])('what cannot be read is refused by its name: %s', (field, chat) => {
  expect(() => fromAnthropic(chat)).toThrow(expect.objectContaining({ field }))
})

function text(text: string) {
  return { type: 'text', text }
}

test('breakpoints go along as places: behind a tool, a block of text, and calls', () => {
  const cache_control = { type: 'ephemeral' }
  const input_schema = { type: 'object' }
  const call = { type: 'tool_use', id: 't1', name: 'read', input: {}, cache_control }
  const chat: AnthropicChat = {
    system: [
      { type: 'text', text: 'Be brief.', cache_control },
      { type: 'text', text: 'It is May.' },
    ],
    tools: [
      { type: 'web_search_1', name: 'w' },
      { name: 'read', input_schema, cache_control },
    ],
    messages: [
      { role: 'user', content: 'Read it.' },
      { role: 'assistant', content: [{ type: 'text', text: 'Yes.' }, call] },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 't1', content: 'Blue.', cache_control },
          { type: 'text', text: 'Go on.', cache_control },
        ],
      },
    ],
  }
  const { breakpoints, ...input } = toRenderInput(fromAnthropic(chat))
  expect(breakpoints).toEqual([
    { tool: 0 },
    { message: 0, atChar: 'Be brief.\n'.length },
    { message: 2, atChar: null },
    { message: 3, atChar: 'Blue.'.length },
    { message: 4, atChar: 'Go on.'.length },
  ])
  expect(JSON.stringify(input)).not.toContain('cache_control')
})

import { describe, expect, test } from 'vitest'
import { chatTemplate } from '../../../engines/llamacpp/template.ts'
import { answerFormatOf } from '../../../src/chat/answer/format.ts'
import { toolShapesOf } from '../../../src/chat/answer/tool-shapes.ts'
import { type Chat, toRenderInput } from '../../../src/chat/messages.ts'
import { fitToTemplate, needsFitting } from '../../../src/chat/template/fit.ts'
import { learnHabits } from '../../../src/chat/template/habits.ts'
import { joined } from '../answer/read-answer.ts'
import { chatml, deepseek, gemma3, harmony, llama3, mistral, qwen3 } from './templates.ts'

const tools = [
  {
    type: 'function',
    function: {
      name: 'get_weather',
      parameters: { type: 'object', properties: { city: { type: 'string' } } },
    },
  },
]
const question = { role: 'user', content: 'Weather?' }

async function open(template: string) {
  const source = { standard: template, toolUse: null, bosText: '', eosText: '' }
  const render = chatTemplate(source)
  const habits = await learnHabits(async (input) => render(input))
  const format = answerFormatOf(template)
  const prompt = (messages: Chat['messages'], withTools = true): string => {
    const input = { messages, ...(withTools ? { tools } : {}), addGenerationPrompt: true }
    const chat = toRenderInput(input)
    return render(needsFitting(chat) ? fitToTemplate(chat, habits, format) : chat)
  }
  /** The message that a client sends back after this answer. */
  const echo = (answer: string, promptEnd: string) => {
    const parser = format.parser({ tools: toolShapesOf(tools), promptEnd })
    const { text, reasoning, calls } = joined([
      ...(parser?.push(answer) ?? []),
      ...(parser?.end() ?? []),
    ])
    const toolCalls = calls.map(([name, json], index) => ({
      id: `call_${index}`,
      type: 'function',
      function: { name, arguments: json },
    }))
    return {
      role: 'assistant',
      content: text === '' ? null : text,
      ...(reasoning === '' ? {} : { reasoning_content: reasoning }),
      ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls }),
    }
  }
  const result = (index = 0) => ({
    role: 'tool',
    tool_call_id: `call_${index}`,
    name: 'get_weather',
    content: 'It rains.',
  })
  return { habits, prompt, echo, result }
}

const callOf = (id?: string) => ({
  ...(id === undefined ? {} : { id }),
  type: 'function',
  function: { name: 'get_weather', arguments: '{}' },
})

const call = (json: string) =>
  `<tool_call>\n{"name": "get_weather", "arguments": ${json}}\n</tool_call>`

describe.each([
  ['reasoning and a call', qwen3, `<think>\nHm.\n</think>\n\n${call('{"city":"Rome" }')}`],
  ['text and two calls', qwen3, `I look.\n${call('{"city": "Rome"}')}\n${call('{}')}`],
  ['a call as an object', llama3, '{"name": "get_weather", "parameters": {"city": "Rome"}}'],
  [
    'text arguments between fences',
    deepseek,
    '<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n' +
      '{"city":"Rome" }\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
  ],
  [
    'text, then a call, which the template writes in no other way',
    deepseek,
    'I look.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>get_weather\n```json\n' +
      '{"city":"Rome" }\n```<｜tool▁call▁end｜><｜tool▁calls▁end｜>',
  ],
  [
    'analysis and a call',
    harmony,
    '<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>commentary ' +
      'to=functions.get_weather <|constrain|>json<|message|>{"city": "Rome"}<|call|>',
  ],
  [
    'bare JSON that the template knows nothing of',
    gemma3,
    '{"name": "get_weather", "arguments": {}}',
  ],
  [
    'reasoning in the content',
    chatml,
    '<think>\nHm.\n</think>\n\n{"name": "get_weather", "arguments": {"city":"Rome" }}',
  ],
])('%s', (_what, template, answer) => {
  test('goes on in the next prompt as the model wrote it', async () => {
    const { prompt, echo, result } = await open(template)
    const first = prompt([question])
    const said = echo(answer, first)
    const results = (said.tool_calls ?? []).map((_call, index) => result(index))
    const second = prompt([question, said, ...results])
    expect(second.slice(0, first.length + answer.length)).toBe(first + answer)
    expect(second).toContain('It rains.')
  })
})

test('Mistral’s ids have nine letters and digits, in calls and in their results', async () => {
  const { habits, prompt, echo, result } = await open(mistral)
  expect(habits).toMatchObject({ arguments: 'object', shortIds: true })
  const answer = '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Rome"}, "id": "x"}]'
  const text = prompt([question, echo(answer, ''), result()])
  const id = /"id": "(\w{9})"/.exec(text)?.[1]
  expect(text).toContain(`[TOOL_RESULTS]${id} It rains.`)
})

test('a template that takes one call a message gets each with its own result', async () => {
  const { prompt, echo } = await open(llama3)
  const said = echo(
    '{"name": "get_weather", "parameters": {"city": "Rome"}}; ' +
      '{"name": "get_weather", "parameters": {"city": "Oslo"}}',
    '',
  )
  const results = ['sun', 'snow'].map((content, index) => ({
    role: 'tool',
    tool_call_id: `call_${index}`,
    content,
  }))
  expect(prompt([question, said, ...results])).toMatch(/Rome[\s\S]*sun[\s\S]*Oslo[\s\S]*snow/)
})

test('calls whose ids come again in a later turn keep the results of their own turn', async () => {
  const { prompt } = await open(llama3)
  const turn = (...results: readonly string[]) => [
    { role: 'assistant', content: '', tool_calls: [0, 1].map((id) => callOf(`call_${id}`)) },
    ...results.map((content, id) => ({ role: 'tool', tool_call_id: `call_${id}`, content })),
  ]
  const text = prompt([question, ...turn('one', 'two'), ...turn('three', 'four')])
  expect(text.match(/one|two|three|four/g)).toEqual(['one', 'two', 'three', 'four'])
})

test('calls and results without ids leave the words of the user where they are', async () => {
  const { prompt } = await open(llama3)
  const messages = [
    { role: 'assistant', content: '', tool_calls: [callOf(), callOf()] },
    { role: 'tool', content: 'one' },
    { role: 'user', content: 'And now?' },
  ]
  const text = prompt([question, ...messages])
  expect(text.match(/one|And now/g)).toEqual(['one', 'And now'])
})

test('a template without tools gets them in the first message, the same in every turn', async () => {
  const { habits, prompt } = await open(gemma3)
  expect(habits).toMatchObject({ writesTools: false, writesSystem: false, writesResults: false })
  const first = prompt([question])
  expect(first).toContain('"name":"get_weather"')
  expect(first).toContain('{"name": "NAME", "arguments": {"KEY": "VALUE"}}')
  const second = prompt([question, { role: 'assistant', content: 'Hi.' }, question])
  expect(second.startsWith(first)).toBe(true)
  expect(prompt([question], false)).not.toContain('get_weather')
})

test('reasoning that a template would refuse beside text is left out', async () => {
  const { habits, prompt } = await open(harmony)
  expect(habits).toMatchObject({ reasoning: 'thinking', reasoningExcludesText: true })
  const said = {
    role: 'assistant',
    content: 'I look.',
    reasoning_content: 'Hm.',
    tool_calls: [{ id: 'call_0', function: { name: 'get_weather', arguments: '{}' } }],
  }
  expect(prompt([question, said])).not.toContain('Hm.')
})

test('arguments that were cut off stay the text that they are', async () => {
  const { prompt } = await open(llama3)
  const cut = { id: 'c', function: { name: 'get_weather', arguments: '{"city": "Ro' } }
  const said = { role: 'assistant', content: null, tool_calls: [cut] }
  expect(prompt([question, said])).toContain('Ro')
})

test('arguments that are too deep for a template stay the text that they are', async () => {
  const { prompt } = await open(llama3)
  const deep = `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`
  const call = { id: 'c', function: { name: 'get_weather', arguments: deep } }
  const said = { role: 'assistant', content: null, tool_calls: [call] }
  // Not `toContain`: a failure would print all of it.
  expect(prompt([question, said]).includes(JSON.stringify(deep))).toBe(true)
})

test('arguments that come as an object are written as models write them', async () => {
  const { prompt } = await open(deepseek)
  const call = { id: 'c', function: { name: 'f', arguments: { a: [1, 'x'], b: { c: null } } } }
  const said = { role: 'assistant', content: null, tool_calls: [call] }
  expect(prompt([question, said])).toContain('{"a": [1, "x"], "b": {"c": null}}')
})

test('an engine that dies while it is asked is no template without habits', async () => {
  const died = new Error('the worker ended')
  await expect(learnHabits(() => Promise.reject(died))).rejects.toBe(died)
})

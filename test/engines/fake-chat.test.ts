import { expect, test } from 'vitest'
import { render } from '../../engines/fake/chat.ts'
import { scriptFor } from '../../engines/fake/script.ts'
import { tokenize } from '../../engines/fake/vocabulary.ts'

const tools = [
  {
    type: 'function',
    function: {
      name: 'get_weather',
      parameters: {
        type: 'object',
        properties: { city: { type: 'string' }, unit: { enum: ['c', 'f'] }, days: {} },
        required: ['city', 'unit'],
      },
    },
  },
  { type: 'function', function: { name: 'ls' } },
]

function answerTo(content: string, more: Record<string, unknown>[] = []) {
  const messages = [{ role: 'user', content }, ...more]
  const text = render({ messages, tools, addGenerationPrompt: true })
  const script = scriptFor(tokenize(text, { addSpecial: false, parseSpecial: true }))
  const written = script?.parts.map((part) => (typeof part === 'string' ? part : '*'))
  return written?.join('') ?? null
}

const call = (name: string, json: string) =>
  `<tool_call>\n{"name": "${name}", "arguments": ${json}}\n</tool_call>`

test('the fake model calls the tools that its user names, with arguments of their schemas', () => {
  const weather = call('get_weather', '{"city": "*", "unit": "c"}')
  expect(answerTo('What is the weather?')).toBe(weather)
  expect(answerTo('call ls and call get_weather')).toBe(`${weather}\n${call('ls', '{}')}`)
})

test('it thinks when it is told to, and else answers in its own words', () => {
  expect(answerTo('Please think.')).toBe('<think>\n*\n</think>\n\n')
  expect(answerTo('Say pong.')).toBe(null)
})

test('a tool’s result is answered in words, not by the same call again', () => {
  const said = { role: 'assistant', content: '', tool_calls: [{ function: { name: 'ls' } }] }
  expect(answerTo('call ls', [said, { role: 'tool', content: 'call ls' }])).toBe(null)
})

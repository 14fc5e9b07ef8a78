import { expect, test } from 'vitest'
import { chatTemplate } from '../../../engines/llamacpp/template.ts'
import type { RenderInput } from '../../../engines/types.ts'
import {
  type Place,
  placeBefore,
  placeBehind,
  withoutWords,
  withWords,
} from '../../../src/chat/template/marks.ts'
import * as templates from './templates.ts'

const word = 'WORD'
const input: RenderInput = {
  messages: [
    { role: 'user', content: ' How deep is the river? \n' },
    { role: 'assistant', content: 'Two metres.' },
    { role: 'user', content: 'And the lake?' },
  ],
  addGenerationPrompt: true,
}

const rendererOf = (standard: string) =>
  chatTemplate({ standard, toolUse: null, bosText: '<s>', eosText: '</s>' })

const everywhere: Place[] = input.messages.flatMap((_, message) =>
  [placeBehind(input, message) ?? [], placeBefore(input, message) ?? []].flat(),
)

test.each(Object.entries(templates))(
  'words in a prompt in the manner of %s say where its messages begin and end',
  (_, template) => {
    const render = rendererOf(template)
    const plain = render(input)
    const { text, chars } = withoutWords(render(withWords(input, everywhere, word)), word)
    expect(text).toBe(plain)
    for (const [message, { content }] of input.messages.entries()) {
      const own = String(content).trim()
      const [end, start] = [chars.get(2 * message), chars.get(2 * message + 1)]
      expect(plain.slice(start, end)).toBe(own)
      expect(plain.slice(0, end).endsWith(own)).toBe(true)
    }
  },
)

test('a place inside a message is behind the last word before it', () => {
  expect(placeBehind(input, 0, 9)).toEqual({ message: 0, atChar: 9 })
  expect(placeBehind(input, 0, 10)).toEqual({ message: 0, atChar: 9 })
  expect(placeBehind(input, 0, 1)).toBe(null)
  expect(placeBehind(input, 7)).toBe(null)
})

test('a tool’s word stands behind its description, or behind its name where it has none', () => {
  const render = rendererOf('{% for t in tools %}{{ t | tojson }}{% endfor %}')
  const tools = [
    { type: 'function', function: { name: 'read', description: 'Reads. ', parameters: {} } },
    { name: 'write' },
  ]
  const withTools = { ...input, tools }
  const marked = withWords(withTools, [{ tool: 0 }, { tool: 1 }], word)
  const { text, chars } = withoutWords(render(marked), word)
  expect(text).toBe(render(withTools))
  expect(text.slice(0, chars.get(0)).endsWith('"Reads.')).toBe(true)
  expect(text.slice(0, chars.get(1)).endsWith('"write')).toBe(true)
})

test('what a template writes twice is where it stands first, and what it leaves out is nowhere', () => {
  const echo = rendererOf('{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}')
  const place = placeBehind(input, 1) as Place
  const twice = withoutWords(echo(withWords(input, [place], word)), word)
  expect(twice.text.slice(0, twice.chars.get(0)).endsWith('?\nTwo metres.')).toBe(false)
  expect(twice.text.slice(0, twice.chars.get(0)).match(/Two metres/g)).toHaveLength(1)
  const deaf = rendererOf("{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}")
  expect(withoutWords(deaf(withWords(input, [place], word)), word).chars.size).toBe(0)
})

import { expect, test } from 'vitest'
import { chatTemplate } from '../../../engines/llamacpp/template.ts'
import { cutAtMark, withMark } from '../../../src/chat/template/go-on.ts'
import * as templates from './templates.ts'

const messages = [
  { role: 'user', content: 'Name a colour.' },
  { role: 'assistant', content: 'My colour is ' },
]

const rendererOf = (standard: string) =>
  chatTemplate({ standard, toolUse: null, bosText: '', eosText: '' })

test.each(Object.entries(templates))(
  'a prompt in the manner of %s ends with the beginning, spaces included',
  (_, template) => {
    const render = rendererOf(template)
    const input = { messages, addGenerationPrompt: true }
    const prompt = cutAtMark(render(withMark(input)))
    expect(prompt).toMatch(/My colour is $/)
    // All of it is what the template writes for the closed message, up to where it closes it.
    const closed = render({ ...input, addGenerationPrompt: false })
    expect(closed.startsWith((prompt ?? '').trimEnd())).toBe(true)
  },
)

test('a template that leaves the text out, or writes it twice, cannot be gone on with', () => {
  const input = { messages, addGenerationPrompt: true }
  const deaf = "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}"
  expect(cutAtMark(rendererOf(deaf)(withMark(input)))).toBe(null)
  const echo = '{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}'
  expect(cutAtMark(rendererOf(echo)(withMark(input)))).toBe(null)
})

test('templates get the documents, and null where there are none', () => {
  const render = rendererOf(
    '{% if documents is none %}none{% else %}{{ documents | tojson }}{% endif %}',
  )
  expect(render({ messages, addGenerationPrompt: true })).toBe('none')
  const documents = [{ text: 'Be short.' }]
  expect(render({ messages, documents, addGenerationPrompt: true })).toContain('Be short.')
})

import { expect, test } from 'vitest'
import { chatTemplate } from '../../../engines/llamacpp/template.ts'

const source = { standard: null, toolUse: null, bosText: '<s>', eosText: '</s>' }
const oneMessage = { messages: [{ role: 'user', content: 'Hi' }], addGenerationPrompt: false }

test('a model without a template says so instead of guessing one', () => {
  expect(() => chatTemplate(source)(oneMessage)).toThrow(
    expect.objectContaining({
      code: 'PREFIXD_E_ENGINE_TEMPLATE',
      message: expect.stringContaining('no chat template'),
    }),
  )
})

test('what the template refuses reaches the user in its own words', () => {
  const standard = "{{ raise_exception('Roles must alternate') }}"
  expect(() => chatTemplate({ ...source, standard })(oneMessage)).toThrow(
    expect.objectContaining({
      code: 'PREFIXD_E_ENGINE_TEMPLATE',
      message: expect.stringContaining('Roles must alternate'),
    }),
  )
})

test('a template that is not Jinja is a typed error', () => {
  expect(() => chatTemplate({ ...source, standard: '{% for %}' })(oneMessage)).toThrow(
    expect.objectContaining({ code: 'PREFIXD_E_ENGINE_TEMPLATE' }),
  )
})

test('beginning and end of text, arguments and fields of messages reach the template', () => {
  const standard =
    '{{ bos_token }}{{ messages[0].extra.deep }}{{ eos_token }}' +
    '{% if enable_thinking %}think{% endif %}{% if add_generation_prompt %}go{% endif %}'
  const text = chatTemplate({ ...source, standard })({
    messages: [{ role: 'user', content: null, extra: { deep: 'kept' } }],
    addGenerationPrompt: true,
    templateArgs: { enable_thinking: true, messages: [] },
  })
  expect(text).toBe('<s>kept</s>thinkgo')
})

test('without tools `tools` is none, as templates that were written for transformers expect', () => {
  const standard = "{{ 'none' if tools is none else tools[0].name }}"
  const render = chatTemplate({ ...source, standard })
  expect(render(oneMessage)).toBe('none')
  expect(render({ ...oneMessage, tools: [] })).toBe('none')
  expect(render({ ...oneMessage, tools: [{ name: 'read' }] })).toBe('read')
})

test('a template for tools is used for requests with tools only', () => {
  const render = chatTemplate({ ...source, standard: 'plain', toolUse: 'tools' })
  expect(render(oneMessage)).toBe('plain')
  expect(render({ ...oneMessage, tools: [{ name: 'read' }] })).toBe('tools')
})

test('the date is there for templates that write it', () => {
  const render = chatTemplate({ ...source, standard: "{{ strftime_now('%Y') }}" })
  expect(render(oneMessage)).toMatch(/^\d{4}$/)
})

import { describe, expect, test } from 'vitest'
import { piece, tokenize } from '../../engines/fake/vocabulary.ts'
import { chatTemplate } from '../../engines/llamacpp/template.ts'
import type { Engine, ModelInfo, RenderInput } from '../../engines/types.ts'
import { type Chat, toRenderInput } from '../../src/chat/messages.ts'
import { limits } from '../../src/config/limits.ts'
import { promptMarks } from '../../src/pipeline/prompt-marks.ts'
import { render } from '../../src/pipeline/render.ts'
import * as templates from '../chat/template/templates.ts'
import { scriptedInfo } from '../support/scripted-engine.ts'

const withStates: ModelInfo['layout'] = { ...scriptedInfo.layout, kinds: ['kv', 'state'] }
const whole = { addSpecial: false, parseSpecial: true }
const control = { cache_control: { type: 'ephemeral' } }

/** Tokens are bytes, so that a position is a place in the rendered text. */
function engineOf(template: string) {
  const renderInput = chatTemplate({ standard: template, toolUse: null, bosText: '', eosText: '' })
  const calls = { render: 0, pieces: 0 }
  const engine: Partial<Engine> = {
    render: async (input: RenderInput) => {
      calls.render += 1
      return renderInput(input)
    },
    pieces: async (tokens) => {
      calls.pieces += 1
      return [...tokens].map(piece)
    },
  }
  return { engine: engine as Engine, calls }
}

async function marksOf(template: string, chat: Chat, more: Partial<ModelInfo> = {}) {
  const { engine, calls } = engineOf(template)
  const info = { ...scriptedInfo, layout: withStates, chatTemplate: template, ...more }
  const input = toRenderInput(chat)
  const text = await render(engine, info, input)
  const tokens = tokenize(text, whole)
  calls.render = 0
  const marks = await promptMarks(engine, info, { prompt: { kind: 'chat', input }, tokens, text })
  const textTo = (position: number | undefined): string =>
    Buffer.concat([...tokens.slice(0, position)].map(piece)).toString()
  return { ...marks, calls, text, textTo }
}

const river = 'How deep is the river? '.repeat(4).trim()
const chat: Chat = {
  messages: [
    { role: 'user', content: river },
    { role: 'assistant', content: 'Two metres.' },
    { role: 'user', content: 'And the lake?' },
  ],
}

describe.each(Object.entries(templates))('a chat in the manner of %s', (_, template) => {
  test('has the ends of its messages, found by one more rendering', async () => {
    const { messageEnds, textTo, calls } = await marksOf(template, chat, { endTokens: [] })
    expect(messageEnds).toHaveLength(3)
    for (const [index, { content }] of chat.messages.entries()) {
      expect(textTo(messageEnds[index]).endsWith(String(content))).toBe(true)
    }
    expect(calls).toEqual({ render: 1, pieces: 1 })
  })

  test('has its breakpoint where another chat leaves it, inside a message too', async () => {
    const chatWith = (question: string): Chat => {
      const context = { type: 'text', text: `${river}\n`, ...control }
      return { messages: [{ role: 'user', content: [context, { type: 'text', text: question }] }] }
    }
    const one = await marksOf(template, chatWith('Now?'))
    const other = await marksOf(template, chatWith('In May?'))
    expect(one.breakpoints).toHaveLength(1)
    expect(one.breakpoints).toEqual(other.breakpoints)
    const shared = one.textTo(one.breakpoints?.[0])
    expect(shared.endsWith(river)).toBe(true)
    expect(other.text.startsWith(shared)).toBe(true)
  })
})

const tool = (name: string) => ({
  type: 'function',
  function: { name, description: `Does ${name}.`, parameters: { type: 'object' } },
})
const toolsOf = (...tools: readonly object[]): Chat => ({ ...chat, tools })

test.each([
  ['qwen3', templates.qwen3],
  ['mistral', templates.mistral],
  ['harmony', templates.harmony],
])('%s: a breakpoint on the last tool is behind all tools', async (_, template) => {
  const marks = await marksOf(template, toolsOf(tool('read'), { ...tool('write'), ...control }))
  const shared = marks.textTo(marks.breakpoints?.[0])
  expect(shared).toContain('Does write.')
  expect(marks.text.slice(shared.length).startsWith(river)).toBe(true)
})

test('a breakpoint on an earlier tool is behind its description and before the next one', async () => {
  const tools = toolsOf({ ...tool('read'), ...control }, tool('write'))
  const marks = await marksOf(templates.qwen3, tools)
  expect(marks.textTo(marks.breakpoints?.[0])).toMatch(/Does read\.$/)
})

test('a message that ends in calls ends where the words of their results begin', async () => {
  const call = { id: 'abcdefgh1', type: 'function', function: { name: 'read', arguments: '{}' } }
  const marks = await marksOf(templates.qwen3, {
    messages: [
      { role: 'user', content: 'Read it.' },
      { role: 'assistant', content: '', tool_calls: [call], ...control },
      { role: 'tool', tool_call_id: 'abcdefgh1', content: 'It is blue.' },
    ],
  })
  expect(marks.textTo(marks.breakpoints?.[0])).toMatch(
    /<\/tool_call><\|im_end\|><\|im_start\|>tool\n$/,
  )
  expect(marks.messageEnds).toHaveLength(3)
})

test('a place where a word changes what the template writes costs only itself', async () => {
  const picky = `{% for m in messages %}{% if m.content.endswith('lake?') %}[last]{% endif -%}
{{ m.content }};{% endfor %}`
  const { messageEnds, textTo, calls } = await marksOf(picky, chat)
  const ends = messageEnds.map((position) => textTo(position))
  expect(ends).toEqual([river, `${river};Two metres.`])
  expect(calls.render).toBeLessThanOrEqual(limits.markRenderings)
})

test('a template that no word can be put into leaves the tokens that end messages', async () => {
  const strict = `{% for m in messages %}{% if 'prefixd' in m.content -%}
{{ raise_exception('no!') }}{% endif %}{{ m.content }}<|end|>{% endfor %}`
  const endTokens = [...tokenize('<|end|>', whole)]
  const { messageEnds, breakpoints, textTo, calls } = await marksOf(strict, chat, { endTokens })
  expect(messageEnds.map(textTo).every((text) => text.endsWith('<|end|>'))).toBe(true)
  expect(messageEnds).toHaveLength(3)
  expect(breakpoints).toEqual([])
  expect(calls.render).toBeLessThanOrEqual(limits.markRenderings)
})

test('a layout that needs no boundaries asks the engine for nothing', async () => {
  const { calls, messageEnds } = await marksOf(templates.qwen3, chat, scriptedInfo)
  expect(messageEnds).toEqual([])
  expect(calls).toEqual({ render: 0, pieces: 0 })
})

test('of thousands of breakpoints the first and the last ones count, for one rendering', async () => {
  const part = (index: number) => ({ type: 'text', text: `Line ${index}. `, ...control })
  const content = Array.from({ length: 3000 }, (_, index) => part(index))
  const { breakpoints, textTo, calls } = await marksOf(templates.chatml, {
    messages: [{ role: 'user', content }],
  })
  expect(breakpoints).toHaveLength(limits.breakpoints)
  expect(textTo(breakpoints?.[0]).endsWith('Line 0.')).toBe(true)
  expect(textTo(breakpoints?.at(-1)).endsWith('Line 2999.')).toBe(true)
  expect(calls.render).toBe(1)
})

test('a prompt of tokens has the ends that its tokens say', async () => {
  const { engine, calls } = engineOf(templates.chatml)
  const tokens = tokenize('Hi<|end|>Ho<|end|>', whole)
  const info = { ...scriptedInfo, layout: withStates, endTokens: [...tokenize('<|end|>', whole)] }
  const prompt = { prompt: { kind: 'tokens', tokens }, tokens, text: null } as const
  expect(await promptMarks(engine, info, prompt)).toEqual({ messageEnds: [3, 6] })
  expect(calls).toEqual({ render: 0, pieces: 0 })
})

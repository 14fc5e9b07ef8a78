import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EngineModel } from '../../../engines/types.ts'
import { openDefaultModel } from '../../support/llamacpp-model.ts'

let model: EngineModel

beforeAll(async () => {
  model = await openDefaultModel({ contextTokens: 256 })
})
afterAll(() => model.close())

const textOf = (tokens: Uint32Array): string =>
  Buffer.concat(Array.from(tokens, (token) => model.piece(token))).toString('utf8')

test.each([
  ['plain words', 'The quick brown fox.'],
  ['characters of several bytes', 'Grüße 👩‍👩‍👧 日本語 ∑'],
  ['white space', '  \n\n\t x  '],
  ['a NUL', 'a\0b'],
  ['nothing', ''],
])('%s survives tokenising and the joined pieces', (_, text) => {
  const tokens = model.tokenize(text, { addSpecial: false, parseSpecial: false })
  expect(textOf(tokens)).toBe(text)
})

test('special tokens in a text are text unless they are asked for', () => {
  const text = '<|im_start|>user'
  const read = model.tokenize(text, { addSpecial: false, parseSpecial: true })
  const literal = model.tokenize(text, { addSpecial: false, parseSpecial: false })
  expect(read.length).toBeLessThan(literal.length)
  expect(textOf(read)).toBe(text)
  expect(textOf(literal)).toBe(text)
})

test('a piece may be a part of a character, so it comes as bytes', () => {
  const tokens = model.tokenize('𒀀', { addSpecial: false, parseSpecial: false })
  expect(tokens.length).toBeGreaterThan(1)
  const first = model.piece(tokens[0] ?? 0)
  expect(new TextDecoder().decode(first)).toContain('\ufffd')
})

test('the end of a turn ends the generation, a word does not', () => {
  const [end] = model.tokenize('<|im_end|>', { addSpecial: false, parseSpecial: true })
  const [word] = model.tokenize('word', { addSpecial: false, parseSpecial: false })
  expect(model.isEnd(end ?? 0)).toBe(true)
  expect(model.isEnd(word ?? 0)).toBe(false)
})

test.each([-1, 1.5, 49_152])(
  'token %d is refused, since llama.cpp would read past its table',
  (token) => {
    expect(() => model.piece(token)).toThrow('is not in the vocabulary')
    expect(() => model.isEnd(token)).toThrow('is not in the vocabulary')
  },
)

test('a chat is written by the template of the model file', () => {
  const text = model.render({
    messages: [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hello' },
    ],
    addGenerationPrompt: true,
  })
  expect(text).toBe(
    '<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n' +
      '<|im_start|>assistant\n',
  )
})

test('the model says what it is', () => {
  expect(model.info).toMatchObject({
    contextTokens: 256,
    trainedContextTokens: 8192,
    vocabularySize: 49_152,
    hasChatTemplate: true,
    sequences: 1,
    layout: { kinds: ['kv'], sliceable: true, refusal: null },
    fingerprint: { engine: 'llama.cpp', architecture: 'llama', flashAttention: true },
  })
  expect(model.info.fingerprint.build).toMatch(/^llama\.cpp v0\.\d\.0 \(.+\)$/)
})

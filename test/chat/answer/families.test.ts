import { describe, expect, test } from 'vitest'
import { answerFormatOf } from '../../../src/chat/answer/format.ts'
import { fixtures, tools } from './fixtures.ts'
import { joined, readAnswer } from './read-answer.ts'

describe.each(fixtures)('$family: $what', (fixture) => {
  test('is known by its template', () => {
    expect(answerFormatOf(fixture.template).name).toBe(fixture.family)
  })

  test('means what its publisher says', () => {
    const { text, reasoning, calls } = readAnswer(fixture, [fixture.answer])
    expect({ text, reasoning, calls }).toEqual({
      text: fixture.text ?? '',
      reasoning: fixture.reasoning ?? '',
      calls: fixture.calls ?? [],
    })
  })
})

const framed = [...new Map(fixtures.map((it) => [it.template, it])).values()].filter(
  ({ template }) => answerFormatOf(template).callFrame !== null,
)

test.each(framed)('a call in the frame of $family ($what) is read as one', ({ template }) => {
  const frame = answerFormatOf(template).callFrame
  const answer = `${frame?.before('get_weather')}{"city": "Oslo"}${frame?.after}`
  const { text, calls } = readAnswer({ template }, [answer])
  expect({ text, calls }).toEqual({ text: '', calls: [['get_weather', '{"city": "Oslo"}']] })
})

test('the name comes as soon as it is written, and the arguments as they are written', () => {
  const parser = answerFormatOf('<tool_call>').parser({ tools, promptEnd: '' })
  const push = (text: string) => parser?.push(text)
  expect(push('<tool_call>\n{"name": "get_weather"')).toEqual([
    { type: 'tool_call', index: 0, name: 'get_weather' },
  ])
  expect(push(', "arguments": {"city"')).toEqual([
    { type: 'tool_arguments', index: 0, text: '{"city"' },
  ])
  expect(push(': "Pa')).toEqual([{ type: 'tool_arguments', index: 0, text: ': ' }])
})

test('without tools, markup of calls is text, and reasoning is still read', () => {
  const template = '<tool_call> <think> </think>'
  const answer = '<think>\nHm.\n</think>\n\n<tool_call>{"name": "f", "arguments": {}}</tool_call>'
  const parser = answerFormatOf(template).parser({ tools: [], promptEnd: '' })
  const read = joined([...(parser?.push(answer) ?? []), ...(parser?.end() ?? [])])
  expect(read.reasoning).toBe('Hm.')
  expect(read.text).toBe('<tool_call>{"name": "f", "arguments": {}}</tool_call>')
  expect(answerFormatOf('<tool_call>').parser({ tools: [], promptEnd: '' })).toBe(null)
})

test('a call that ends before its name is nothing; one that ends later keeps what it has', () => {
  const template = '<tool_call>'
  expect(readAnswer({ template }, ['Well <tool_call>\n{"na']).parts).toEqual([
    { type: 'text', text: 'Well ' },
  ])
  const { calls } = readAnswer({ template }, ['<tool_call>{"name": "f", "arguments": {"a": [1, '])
  expect(calls).toEqual([['f', '{"a": [1, ']])
})

test('reasoning that never ends stays reasoning', () => {
  const { text, reasoning } = readAnswer({ template: '</think>' }, ['<think>\nand so on\n'])
  expect({ text, reasoning }).toEqual({ text: '', reasoning: 'and so on' })
})

test('think tags behind text are the text’s own', () => {
  const { text } = readAnswer({ template: '</think>' }, ['Use <think>x</think> tags.'])
  expect(text).toBe('Use <think>x</think> tags.')
})

import { expect, test } from 'vitest'
import { answerFormatOf } from '../../src/chat/answer/format.ts'
import { createAnswerReader } from '../../src/pipeline/answer-reader.ts'
import type { Dialect } from '../../src/pipeline/types.ts'

const template = '<tool_call> <think> </think>'
const tools = [{ name: 'f', parameters: {} }]
const call = '<tool_call>\n{"name": "f", "arguments": {"a": "STOP"}}\n</tool_call>'

function open(dialect: Dialect, stops: readonly string[] = [], parallelCalls = true) {
  const parser = answerFormatOf(template).parser({ tools, promptEnd: '' })
  return createAnswerReader({ parser, stops, parallelCalls, dialect, namesTokens: false })
}

function read(text: string, stops: readonly string[], parallelCalls = true) {
  const reader = open('chat', stops, parallelCalls)
  const events = [...text].flatMap((char) => reader.push(char))
  if (!reader.isOver) events.push(...reader.end())
  const said: string[] = []
  let last = ''
  for (const event of events) {
    const goesOn = event.type === last && event.type !== 'tool_call' && 'text' in event
    if (goesOn) said[said.length - 1] += event.text
    else
      said.push(`${event.type} ${'name' in event ? event.name : 'text' in event ? event.text : ''}`)
    last = event.type
  }
  return { said, stopString: reader.stopString }
}

test.each([
  ['chat', /^call_[0-9a-f]{24}$/],
  ['responses', /^call_[0-9a-f]{24}$/],
  ['messages', /^toolu_[0-9a-f]{24}$/],
] as const)('calls of %s get ids as its clients know them', (dialect, form) => {
  const events = open(dialect).push(`<think>\n</think>${call}${call}`)
  const ids = events.flatMap((event) => (event.type === 'tool_call' ? [event.id] : []))
  expect(new Set(ids).size).toBe(2)
  for (const id of ids) expect(id).toMatch(form)
})

test('stop strings end visible text, and are part of reasoning, names and arguments', () => {
  const answer = `<think>\nSTOP\n</think>\n\nLook.\n${call}`
  expect(read(answer, ['STOP'])).toEqual({
    said: ['reasoning STOP', 'text Look.', 'tool_call f', 'tool_arguments {"a": "STOP"}'],
    stopString: null,
  })
  expect(read(`Now STOP.\n${call}`, ['STOP'])).toEqual({
    said: ['text Now '],
    stopString: 'STOP',
  })
})

test('text that only begins a stop string comes before the call behind it', () => {
  expect(read(`ST\n${call}`, ['STOP']).said.slice(0, 2)).toEqual(['text ST', 'tool_call f'])
})

test('without parallel calls the answer is over where a second one would begin', () => {
  expect(read(`${call}\n${call}`, [], false).said).toEqual([
    'tool_call f',
    'tool_arguments {"a": "STOP"}',
  ])
})

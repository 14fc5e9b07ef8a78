/**
 * Gemma 4: `<|tool_call>call:NAME{key:<|"|>text<|"|>,n:1}<tool_call|>`; FunctionGemma:
 * `<start_function_call>call:NAME{key:<escape>text<escape>}<end_function_call>`. Keys stand bare,
 * text between marks, everything else as in JSON. Gemma 4 reasons in its channel `thought`.
 */
import type { CallReader, Family, ReasoningTags } from './reader.ts'
import { isSpace, NotACall, type Reading, type Source } from './source.ts'
import { writeArguments } from './typed-arguments.ts'

/** What stands around text. */
const textMarks = ['<|"|>', '<escape>']

const readerUntil = (end: string): CallReader =>
  function* (source, output) {
    yield* source.expect('call:')
    const name = yield* source.word(/[\w.-]/)
    if (name === '') throw new NotACall()
    yield* source.expect('{')
    output.call(name)
    const writer = writeArguments(output)
    yield* readMembers(source, (key, json) => writer.add(key, json))
    writer.end()
    yield* source.until([end], () => {})
  }

function* readMembers(source: Source, add: (key: string, json: string) => void): Reading<void> {
  for (;;) {
    yield* skipSeparators(source)
    if (yield* source.take('}')) return
    const key = (yield* readText(source)) ?? (yield* readBare(source, ':'))
    yield* source.skipSpace()
    yield* source.expect(':')
    add(key, yield* readJson(source))
  }
}

/** One value, as JSON. */
function* readJson(source: Source): Reading<string> {
  yield* source.skipSpace()
  const text = yield* readText(source)
  if (text !== null) return JSON.stringify(text)
  if (yield* source.take('{')) {
    const members: string[] = []
    yield* readMembers(source, (key, json) => members.push(`${JSON.stringify(key)}: ${json}`))
    return `{${members.join(', ')}}`
  }
  if (yield* source.take('[')) {
    const items: string[] = []
    for (;;) {
      yield* skipSeparators(source)
      if (yield* source.take(']')) return `[${items.join(', ')}]`
      items.push(yield* readJson(source))
    }
  }
  const bare = yield* readBare(source, ',}]')
  return /^(-?\d+(\.\d+)?([eE][-+]?\d+)?|true|false|null)$/.test(bare) ? bare : JSON.stringify(bare)
}

/** Text between marks, or between quotes as some models write; null where none begins. */
function* readText(source: Source): Reading<string | null> {
  for (const mark of [...textMarks, '"']) {
    if (!(yield* source.take(mark))) continue
    return (yield* source.upTo([mark])).text
  }
  return null
}

function* readBare(source: Source, ends: string): Reading<string> {
  let word = ''
  while (!ends.includes(yield* source.peek())) word += yield* source.next()
  return word.trim()
}

function* skipSeparators(source: Source): Reading<void> {
  for (;;) {
    const char = yield* source.peek()
    if (char !== ',' && !isSpace(char)) return
    yield* source.next()
  }
}

export const gemmaReasoning: ReasoningTags = {
  open: '<|channel>thought',
  close: '<channel|>',
  anywhere: true,
}
export const gemma4: Family = {
  reasoning: gemmaReasoning,
  calls: { '<|tool_call>': readerUntil('<tool_call|>') },
}
export const functionGemma: Family = {
  reasoning: null,
  calls: { '<start_function_call>': readerUntil('<end_function_call>') },
}

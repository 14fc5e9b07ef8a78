/**
 * Hermes and Qwen: `<tool_call>\n{"name": …, "arguments": …}\n</tool_call>`, one pair a call; and
 * Qwen3-Coder, which writes XML inside: `<function=NAME>\n<parameter=KEY>\nVALUE\n</parameter>…`.
 */
import { readCallObject } from './json.ts'
import { readBareJson } from './json-fallback.ts'
import type { Output } from './output.ts'
import type { CallReader, Family, Tools } from './reader.ts'
import { NotACall, type Reading, type Source } from './source.ts'
import { isTextArgument, readTextValue, writeArguments } from './typed-arguments.ts'
import type { CallFrame } from './types.ts'

const end = '</tool_call>'
const nameLengthMax = 128

export const hermesFrame: CallFrame = {
  before: (name) => `<tool_call>\n{"name": ${JSON.stringify(name)}, "arguments": `,
  after: `}\n${end}`,
}

const readTagged: CallReader = function* (source, output, tools) {
  yield* source.skipSpace()
  const begun = output.calls()
  try {
    if (yield* source.take('<function=')) yield* readXml(source, output, tools)
    else yield* readCallObject(source, output)
  } catch (error) {
    if (!(error instanceof NotACall) || output.calls() === begun) throw error
  }
  // Whatever else the model wrote there is no text for people.
  yield* source.until([end], () => {})
}

/** Qwen3-Coder often forgets the outer tag, and writes its end all the same. */
const readUntagged: CallReader = function* (source, output, tools) {
  yield* readXml(source, output, tools)
  yield* source.skipSpace()
  yield* source.take(end)
}

function* readXml(source: Source, output: Output, tools: Tools): Reading<void> {
  const name = yield* readName(source, '>')
  output.call(name)
  const writer = writeArguments(output)
  for (;;) {
    const { marker } = yield* source.upTo(['<parameter=', '</function>'])
    if (marker === '</function>') break
    const key = yield* readName(source, '>')
    const isText = isTextArgument(tools.byName(name), key)
    const value = { key, isText, close: '</parameter>', newlines: true }
    yield* readTextValue(source, writer, value)
  }
  writer.end()
}

function* readName(source: Source, close: string): Reading<string> {
  let name = ''
  for (;;) {
    const char = yield* source.next()
    if (char === close) return name.trim()
    name += char
    if (char === '\n' || char === '<' || name.length > nameLengthMax) throw new NotACall()
  }
}

const calls = { '<tool_call>': readTagged }

export const hermes: Family = {
  reasoning: null,
  calls,
  // Small models forget the tags; a tool's own name says that it is a call all the same.
  bareCall: { begins: '{[`', read: readBareJson },
  jointNewlines: 1,
}
export const qwenCoder: Family = {
  reasoning: null,
  calls: { ...calls, '<function=': readUntagged },
  jointNewlines: 2,
}

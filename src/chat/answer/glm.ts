/**
 * GLM 4.5 and later: `<tool_call>NAME\n<arg_key>KEY</arg_key>\n<arg_value>VALUE</arg_value>…
 * </tool_call>`. Text values stand bare, others as JSON.
 */

import type { CallReader, Family } from './reader.ts'
import { NotACall } from './source.ts'
import { isTextArgument, readTextValue, writeArguments } from './typed-arguments.ts'

const end = '</tool_call>'
const markers = ['<arg_key>', end]

const readCall: CallReader = function* (source, output, tools) {
  const head = yield* source.upTo(markers)
  const name = head.text.trim()
  if (!/^[\w.-]+$/.test(name)) throw new NotACall()
  output.call(name)
  const writer = writeArguments(output)
  for (let { marker } = head; marker !== end; marker = (yield* source.upTo(markers)).marker) {
    const { text: key } = yield* source.upTo(['</arg_key>'])
    yield* source.upTo(['<arg_value>'])
    const isText = isTextArgument(tools.byName(name), key)
    yield* readTextValue(source, writer, { key, isText, close: '</arg_value>', newlines: false })
  }
  writer.end()
}

export const glm: Family = { reasoning: null, calls: { '<tool_call>': readCall }, jointNewlines: 1 }

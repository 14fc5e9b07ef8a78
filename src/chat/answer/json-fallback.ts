/**
 * Models whose templates know no tools: an answer that is `{"name": …, "arguments": …}` with the
 * name of one of the request's tools, or a list of such, or either in a fence of ```json.
 */
import { readCallObjects } from './json.ts'
import type { CallReader, Family } from './reader.ts'
import { CutOff, NotACall } from './source.ts'
import type { CallFrame } from './types.ts'

const fence = '```'

export const readBareJson: CallReader = function* (source, output, { names }) {
  const isFenced = yield* source.take(fence)
  if (isFenced) yield* source.until(['\n'], () => {})
  yield* source.skipSpace()
  yield* readCallObjects(source, output, { separators: ';,', knownNames: names })
  if (isFenced) yield* source.until([fence], () => {})
}

/** The same behind text, where a line begins. */
const readLine: CallReader = function* (source, output, { names }) {
  const begun = output.calls()
  source.back(source.mark() - 1)
  try {
    yield* readCallObjects(source, output, { separators: ';,', knownNames: names })
  } catch (error) {
    // The beginning of an object is not the beginning of a call.
    if (error instanceof CutOff && output.calls() === begun) throw new NotACall()
    throw error
  }
}

/** Granite 3 and Phi 4: a list behind a tag. */
const readTagged: CallReader = function* (source, output) {
  yield* source.skipSpace()
  yield* readCallObjects(source, output, { separators: ',' })
  yield* source.skipSpace()
  yield* source.take('<|/tool_call|>')
}

export const jsonFallback: Family = {
  reasoning: null,
  calls: { '\n{': readLine, '<|tool_call|>': readTagged },
  jointNewlines: 1,
  bareCall: { begins: '{[`', read: readBareJson },
}

export const jsonFrame: CallFrame = {
  before: (name) => `{"name": ${JSON.stringify(name)}, "arguments": `,
  after: '}',
}

/**
 * Models whose templates know no tools: an answer that is `{"name": …, "arguments": …}` with the
 * name of one of the request's tools, or a list of such, or either in a fence of ```json.
 */
import { readCallObjects } from './json.ts'
import type { CallReader, Family } from './reader.ts'
import type { CallFrame } from './types.ts'

const fence = '```'

export const readBareJson: CallReader = function* (source, output, { names }) {
  const isFenced = yield* source.take(fence)
  if (isFenced) yield* source.until(['\n'], () => {})
  yield* source.skipSpace()
  yield* readCallObjects(source, output, { separators: ';,', knownNames: names })
  if (isFenced) yield* source.until([fence], () => {})
}

export const jsonFallback: Family = {
  reasoning: null,
  calls: {},
  bareCall: { begins: '{[`', read: readBareJson },
}

export const jsonFrame: CallFrame = {
  before: (name) => `{"name": ${JSON.stringify(name)}, "arguments": `,
  after: '}',
}

/**
 * Llama 3: an answer that is `{"name": …, "parameters": {…}}`, several of them behind `;`; the same
 * behind `<|python_tag|>`, where the built-in tools are `name.call(key="text")`; and
 * `<function=NAME>{…}</function>`, which Meta's documentation shows for tools of one's own.
 */

import { readCallObjects, readValue } from './json.ts'
import { readPythonCall } from './python.ts'
import type { CallReader, Family } from './reader.ts'
import { NotACall } from './source.ts'
import type { CallFrame } from './types.ts'

const readBare: CallReader = (source, output, { names }) =>
  readCallObjects(source, output, { separators: ';,', knownNames: names })

const readTagged: CallReader = function* (source, output, tools) {
  yield* source.skipSpace()
  const first = yield* source.peek()
  if (first === '{' || first === '[') {
    return yield* readCallObjects(source, output, { separators: ';,' })
  }
  const mark = source.mark()
  const name = yield* source.word(/[\w-]/)
  // Python code for a code interpreter is no call that a client could run by name.
  if (!tools.names.has(name)) throw new NotACall()
  yield* source.expect('.call')
  source.back(mark)
  yield* readPythonCall(source, {
    ...output,
    call: (written) => output.call(written.replace(/\.call$/, '')),
  })
}

const readFunction: CallReader = function* (source, output) {
  const name = yield* source.word(/[\w.-]/)
  if (name === '') throw new NotACall()
  yield* source.expect('>')
  yield* source.skipSpace()
  if ((yield* source.peek()) !== '{') throw new NotACall()
  output.call(name)
  yield* readValue(source, output.arguments)
  yield* source.until(['</function>'], () => {})
}

export const llama3: Family = {
  reasoning: null,
  calls: { '<|python_tag|>': readTagged, '<function=': readFunction },
  bareCall: { begins: '{[', read: readBare },
}

export const llama3Frame: CallFrame = {
  before: (name) => `{"name": ${JSON.stringify(name)}, "parameters": `,
  after: '}',
}

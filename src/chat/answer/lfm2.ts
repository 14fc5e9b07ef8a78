/** LFM2 and LFM2.5: `<|tool_call_start|>[name(key="text"), …]<|tool_call_end|>`, or JSON inside. */

import { readCallObjects } from './json.ts'
import { readPythonCalls } from './python.ts'
import type { CallReader, Family } from './reader.ts'
import { NotACall } from './source.ts'

const end = '<|tool_call_end|>'

const readCalls: CallReader = function* (source, output) {
  yield* source.skipSpace()
  const begun = output.calls()
  try {
    const mark = source.mark()
    yield* source.take('[')
    yield* source.skipSpace()
    const isJson = (yield* source.peek()) === '{'
    source.back(mark)
    if (isJson) yield* readCallObjects(source, output, { separators: ',' })
    else yield* readPythonCalls(source, output)
  } catch (error) {
    if (!(error instanceof NotACall) || output.calls() === begun) throw error
  }
  yield* source.until([end], () => {})
}

export const lfm2: Family = { reasoning: null, calls: { '<|tool_call_start|>': readCalls } }

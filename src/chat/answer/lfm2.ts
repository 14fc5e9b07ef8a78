/** LFM2 and LFM2.5: `<|tool_call_start|>[name(key="text"), …]<|tool_call_end|>`, or JSON inside. */

import { readCallObjects } from './json.ts'
import { readPythonCalls } from './python.ts'
import type { CallReader, Family } from './reader.ts'
import { NotACall } from './source.ts'
import type { WrittenCall } from './types.ts'

const begin = '<|tool_call_start|>'
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

export const lfm2: Family = { reasoning: null, calls: { [begin]: readCalls } }

/** LFM2's first templates write no calls. */
export function writePythonCalls(calls: readonly WrittenCall[]): string {
  const written = calls.map((call) => `${call.name}(${pythonArguments(call.arguments)})`)
  return `${begin}[${written.join(', ')}]${end}`
}

function pythonArguments(json: string): string {
  let values: unknown
  try {
    values = JSON.parse(json)
  } catch {
    return ''
  }
  const entries = Object.entries(values ?? {})
  return entries.map(([key, value]) => `${key}=${pythonLiteral(value)}`).join(', ')
}

function pythonLiteral(value: unknown): string {
  if (value === null) return 'None'
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  if (Array.isArray(value)) return `[${value.map(pythonLiteral).join(', ')}]`
  if (typeof value !== 'object') return JSON.stringify(value)
  const members = Object.entries(value).map(
    ([key, member]) => `${JSON.stringify(key)}: ${pythonLiteral(member)}`,
  )
  return `{${members.join(', ')}}`
}

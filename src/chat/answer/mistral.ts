/**
 * Mistral: `[TOOL_CALLS][{"name": …, "arguments": …}, …]` up to tokenizer version 7;
 * `[TOOL_CALLS]NAME[ARGS]{…}` from 11 on, with `[CALL_ID]…` between in some; then each call has
 * the marker again. Magistral reasons between `[THINK]` and `[/THINK]`.
 */

import { readCallObjects, readValue } from './json.ts'
import type { CallReader, Family, ReasoningTags } from './reader.ts'
import { NotACall } from './source.ts'
import type { CallFrame } from './types.ts'

const marker = '[TOOL_CALLS]'

const readCalls: CallReader = function* (source, output) {
  yield* source.skipSpace()
  const first = yield* source.peek()
  if (first === '[' || first === '{') {
    yield* readCallObjects(source, output, { separators: ',' })
    return
  }
  const name = yield* source.word(/[\w.-]/)
  if (name === '') throw new NotACall()
  if (yield* source.take('[CALL_ID]')) yield* source.word(/\w/)
  yield* source.take('[ARGS]')
  yield* source.skipSpace()
  if ((yield* source.peek()) !== '{') throw new NotACall()
  output.call(name)
  yield* readValue(source, output.arguments)
}

export const mistralReasoning: ReasoningTags = {
  open: '[THINK]',
  close: '[/THINK]',
  anywhere: true,
}
export const mistral: Family = { reasoning: null, calls: { [marker]: readCalls } }

export const mistralListFrame: CallFrame = {
  before: (name) => `${marker}[{"name": ${JSON.stringify(name)}, "arguments": `,
  after: '}]',
}
export const mistralArgsFrame: CallFrame = {
  before: (name) => `${marker}${name}[ARGS]`,
  after: '',
}

/**
 * DeepSeek: `<｜tool▁calls▁begin｜>`, then for each call `<｜tool▁call▁begin｜>…<｜tool▁call▁end｜>`,
 * then `<｜tool▁calls▁end｜>`. V3 and R1 write `function<｜tool▁sep｜>NAME` and the arguments in a
 * fence of ```json; V3.1 writes `NAME<｜tool▁sep｜>{…}`.
 */
import { readValue } from './json.ts'
import type { Output } from './output.ts'
import type { CallReader, Family } from './reader.ts'
import { NotACall, type Reading, type Source } from './source.ts'
import type { CallFrame } from './types.ts'

const begin = '<｜tool▁calls▁begin｜>'
const end = '<｜tool▁calls▁end｜>'
const callBegin = '<｜tool▁call▁begin｜>'
const callEnd = '<｜tool▁call▁end｜>'
const separator = '<｜tool▁sep｜>'
const fence = '```json'

const readCalls: CallReader = function* (source, output) {
  for (;;) {
    yield* source.skipSpace()
    if (yield* source.take(end)) return
    yield* source.expect(callBegin)
    yield* readCall(source, output)
  }
}

function* readCall(source: Source, output: Output): Reading<void> {
  const head = yield* source.upTo([separator])
  yield* source.skipSpace()
  if ((yield* source.peek()) === '{') {
    if (!/^[\w.-]+$/.test(head.text.trim())) throw new NotACall()
    output.call(head.text.trim())
  } else {
    const name = yield* source.word(/[\w.-]/)
    yield* source.skipSpace()
    if (name === '') throw new NotACall()
    yield* source.expect(fence)
    output.call(name)
    yield* source.skipSpace()
  }
  yield* readValue(source, output.arguments)
  yield* source.until([callEnd], () => {})
}

export const deepseek: Family = { reasoning: null, calls: { [begin]: readCalls } }

export const deepseekFencedFrame: CallFrame = {
  before: (name) => `${begin}${callBegin}function${separator}${name}\n${fence}\n`,
  after: `\n\`\`\`${callEnd}${end}`,
}
export const deepseekFrame: CallFrame = {
  before: (name) => `${begin}${callBegin}${name}${separator}`,
  after: `${callEnd}${end}`,
}

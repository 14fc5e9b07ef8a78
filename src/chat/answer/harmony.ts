/**
 * gpt-oss, "harmony": messages with channels. `<|channel|>analysis<|message|>…<|end|>` is
 * reasoning, `final` and a `commentary` to nobody are text, and a message to `functions.NAME` is a
 * call. The recipient stands behind the channel or before it; `<|constrain|>json` may follow.
 */
import { readValue } from './json.ts'
import type { Output } from './output.ts'
import { runReader } from './reader.ts'
import type { Reading, Source } from './source.ts'
import type { AnswerParser, CallFrame, ParserOptions } from './types.ts'

const messageStarts = ['<|start|>', '<|channel|>']
const messageEnds = ['<|end|>', '<|call|>', '<|return|>', ...messageStarts]

export const harmonyFrame: CallFrame = {
  before: (name) => `<|channel|>commentary to=functions.${name} <|constrain|>json<|message|>`,
  after: '<|call|>',
}

/** There is no harmony answer without markup, so every request has this parser. */
export function harmonyParser({ tools }: ParserOptions): AnswerParser {
  return runReader(0, (source, output) => readMessages(source, output, tools.length > 0))
}

function* readMessages(source: Source, output: Output, hasTools: boolean): Reading<void> {
  // The prompt ends inside of a head, so the first one may go on with its recipient.
  let starts = [...messageStarts, ' to=']
  let start: string | null = null
  for (;;) {
    source.forget()
    // A model that forgets its channels speaks to the user.
    start ??= yield* source.until(starts, output.text)
    starts = messageStarts
    if (start === null) return
    let head: string = start
    const hasBody = yield* source.until(['<|message|>'], (text) => {
      head += text
    })
    if (hasBody === null) return
    const end: string | null = yield* readBody(source, output, head, hasTools)
    output.afterMarkup()
    if (end === null) return
    start = messageStarts.includes(end) ? end : null
  }
}

/** Returns what ended it; null at the answer's end. */
function* readBody(
  source: Source,
  output: Output,
  head: string,
  hasTools: boolean,
): Reading<string | null> {
  const channel = /<\|channel\|>\s*(\w+)/.exec(head)?.[1]
  const name = /\bto=functions\.([\w.-]+)/.exec(head)?.[1]
  if (name === undefined || !hasTools) {
    const hand = channel === 'analysis' ? output.reasoning : output.text
    return yield* source.until(messageEnds, hand)
  }
  output.call(name)
  yield* source.skipSpace()
  if (!(yield* source.isAtEnd()) && (yield* source.peek()) === '{') {
    yield* readValue(source, output.arguments)
    return yield* source.until(messageEnds, () => {})
  }
  let written = false
  const end = yield* source.until(messageEnds, (text) => {
    written = true
    output.arguments(text)
  })
  if (!written && end !== null) output.arguments('{}')
  return end
}

/**
 * Which tokens the visible text is made of. Parsers and stop strings hold text back and take markup
 * away; every token that has a part in visible text is named once, in order, with the first piece
 * of text that shows a part of it. Tokens of reasoning, of calls and of markup alone are not named.
 */
import type { TokenLogprobs } from '../../engines/index.ts'
import type { TextToken } from './types.ts'

export interface SampledToken {
  readonly token: number
  readonly logprobs: TokenLogprobs
}

export interface Attribution {
  /** The next token of the answer, and the text that became complete with it. */
  wrote(text: string, token: SampledToken): void
  /** The next visible text, which stands at `at` in all that was written. */
  found(text: string, at: number): void
  /** So many more characters of what was found go to the client: the tokens that they begin. */
  shown(length: number): readonly TextToken[]
}

/** Tokens that share characters, since one character may be several tokens. */
interface Written {
  readonly tokens: readonly SampledToken[]
  readonly from: number
  readonly to: number
}

export function createAttribution(): Attribution {
  /** Tokens whose characters are not complete yet. */
  let begun: SampledToken[] = []
  const written: Written[] = []
  const spans: { from: number; to: number }[] = []
  let writtenLength = 0
  let shownLength = 0

  const name = (from: number, to: number): TextToken[] => {
    const tokens: TextToken[] = []
    for (let next = written[0]; next !== undefined && next.from < to; next = written[0]) {
      written.shift()
      if (next.to <= from) continue
      const atChar = shownLength + Math.max(0, next.from - from)
      for (const { token, logprobs } of next.tokens) tokens.push({ token, atChar, ...logprobs })
    }
    return tokens
  }

  return {
    wrote(text, token) {
      begun.push(token)
      if (text === '') return
      const from = writtenLength
      writtenLength += text.length
      written.push({ tokens: begun, from, to: writtenLength })
      begun = []
    },
    found(text, at) {
      spans.push({ from: at, to: at + text.length })
    },
    shown(length) {
      const tokens: TextToken[] = []
      for (let left = length; left > 0; ) {
        const span = spans[0]
        if (span === undefined) throw new Error('more text is shown than was found')
        const to = Math.min(span.to, span.from + left)
        tokens.push(...name(span.from, to))
        left -= to - span.from
        shownLength += to - span.from
        span.from = to
        if (span.from === span.to) spans.shift()
      }
      return tokens
    },
  }
}

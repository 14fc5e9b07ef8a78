/** Logprobs in OpenAI's three shapes. Pure. */
import type OpenAI from 'openai'
import type { TokenLogprob } from '../../../engines/types.ts'
import { PrefixdError } from '../../errors.ts'
import type { TextToken } from '../../pipeline/types.ts'

/** What OpenAI writes for tokens that cannot be; JSON has no infinity. */
const leastLogprob = -9999

/** A part of a character has U+FFFD in its text; `bytes` says what it is. */
const textOf = (bytes: Uint8Array): string => new TextDecoder('utf-8').decode(bytes)

const toToken = ({ bytes, logprob }: Omit<TokenLogprob, 'token'>) => ({
  token: textOf(bytes),
  logprob: Math.max(logprob, leastLogprob),
  bytes: [...bytes],
})

/** Of chat and of Responses. */
export const toTokenLogprobs = (tokens: readonly TextToken[]) =>
  tokens.map((token) => ({
    ...toToken(token),
    top_logprobs: token.top.map(toToken),
  })) satisfies OpenAI.ChatCompletionTokenLogprob[]

/** Of `/v1/completions`; offsets count UTF-16 units of the choice's `text`. */
export function toLegacyLogprobs(tokens: readonly TextToken[]) {
  const own = tokens.map(toToken)
  return {
    tokens: own.map(({ token }) => token),
    token_logprobs: own.map(({ logprob }) => logprob),
    // The sampled token is always among them, also where it is not one of the likeliest.
    top_logprobs: tokens.map((token) =>
      Object.fromEntries(
        [...token.top, token].map((each) => {
          const { token: text, logprob } = toToken(each)
          return [text, logprob]
        }),
      ),
    ),
    text_offset: tokens.map(({ atChar }) => atChar),
  } satisfies OpenAI.CompletionChoice['logprobs']
}

interface ChatWishes {
  readonly logprobs?: boolean | null
  readonly top_logprobs?: number | null
}

/** How many likely tokens a chat wants beside each; null: no logprobs at all. */
export function readTopLogprobs({ logprobs, top_logprobs: count }: ChatWishes): number | null {
  if (logprobs === true) return count ?? 0
  if (count == null || count === 0) return null
  throw new PrefixdError('PREFIXD_E_INVALID_VALUE', 'top_logprobs needs `logprobs: true`.', {
    field: 'top_logprobs',
    next: 'Set `logprobs` too, or leave both out.',
  })
}

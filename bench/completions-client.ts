/** A client of `/v1/completions` with token arrays: whole greedy answers of a fixed length. */
import type { TierName, TokenIds } from '../cache/index.ts'
import type { CacheObjectJson } from '../src/api/native/schema.ts'

export interface CompletionRequest {
  readonly tokens: TokenIds
  readonly answerTokens: number
  /** Absent: the service's first one. */
  readonly model?: string
  /** Words of the header `x-prefixd-cache`, e.g. `no-read, no-write`. */
  readonly cache?: string
  readonly signal?: AbortSignal
}

export interface Completion {
  readonly text: string
  /** Restored, as the engine confirmed it. */
  readonly cachedTokens: number
  /** Acknowledged: on the SSD when the answer came. */
  readonly savedTokens: number
  readonly tier: TierName | null
  readonly missReason: string | null
}

/** The service answered with an error. `code` is the one of `x-prefixd-error`. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly status: number
  readonly code: string | null
  readonly retryAfter: string | null
  constructor(reply: Response, text: string) {
    super(text)
    this.status = reply.status
    this.code = reply.headers.get('x-prefixd-error')
    this.retryAfter = reply.headers.get('retry-after')
  }
}

interface CompletionJson {
  readonly choices: readonly { readonly text: string }[]
  readonly usage: { readonly prompt_tokens_details: { readonly cached_tokens: number } }
  readonly cache: CacheObjectJson
}

/** Rejects with a `Refusal` where the service answers with an error. */
export async function complete(url: string, request: CompletionRequest): Promise<Completion> {
  const reply = await fetch(`${url}/v1/completions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(request.cache === undefined ? {} : { 'x-prefixd-cache': request.cache }),
    },
    body: JSON.stringify({
      model: request.model ?? null,
      prompt: [...request.tokens],
      max_tokens: request.answerTokens,
      temperature: 0,
      ignore_eos: true,
    }),
    signal: request.signal ?? null,
  })
  const text = await reply.text()
  if (!reply.ok) throw new Refusal(reply, text)
  const { choices, usage, cache } = JSON.parse(text) as CompletionJson
  return {
    text: choices.map((choice) => choice.text).join(''),
    cachedTokens: usage.prompt_tokens_details.cached_tokens,
    savedTokens: cache.tokens.saved,
    tier: cache.tier,
    missReason: cache.miss?.reason ?? null,
  }
}

/** Neither reads nor writes: what the engine says by itself. */
export const completeCold = (url: string, request: CompletionRequest): Promise<Completion> =>
  complete(url, { ...request, cache: 'no-read, no-write' })

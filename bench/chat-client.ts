/**
 * A client of `/v1/chat/completions` that measures what a person would: the time to the first text.
 */
import type { TierName } from '../cache/index.ts'
import type { CacheObjectJson } from '../src/api/native/schema.ts'
import { eventsOf } from './sse-events.ts'

export interface ChatMessage {
  readonly role: 'system' | 'user' | 'assistant'
  readonly content: string
}

export interface ChatRequest {
  readonly messages: readonly ChatMessage[]
  readonly maxTokens: number
  /** Words of the header `x-prefixd-cache`, e.g. `no-write`. */
  readonly cache?: string
  /** The API key that it comes with. */
  readonly key?: string
  /** Go on at an end-of-generation token. */
  readonly ignoreEnd?: boolean
}

/** What the service said of one request, and what its client saw. */
export interface ChatAnswer {
  readonly text: string
  readonly promptTokens: number
  /** Restored and computed prompt tokens, confirmed by the engine. */
  readonly cachedTokens: number
  readonly computedTokens: number
  /** Acknowledged: on the SSD when the answer ended. */
  readonly savedTokens: number
  readonly generatedTokens: number
  readonly tier: TierName | null
  /** From sending the request to the first frame with text. */
  readonly ttftMs: number
  /** From the first frame with text to the last one. */
  readonly decodeMs: number
  /** From sending the request to the end of the answer's text, before saves are confirmed. */
  readonly answerMs: number
}

/** An engine on a busy CPU takes minutes for a long prompt. */
const requestMs = 900_000

/** A greedy streaming request. Rejects with the service's own words when it does not answer. */
export async function streamChat(url: string, request: ChatRequest): Promise<ChatAnswer> {
  const sentAt = performance.now()
  const reply = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(request.cache === undefined ? {} : { 'x-prefixd-cache': request.cache }),
      ...(request.key === undefined ? {} : { authorization: `Bearer ${request.key}` }),
    },
    body: JSON.stringify({
      messages: request.messages,
      max_tokens: request.maxTokens,
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
      ignore_eos: request.ignoreEnd === true,
    }),
    signal: AbortSignal.timeout(requestMs),
  })
  if (!reply.ok || reply.body === null) {
    throw new Error(`The service answered ${reply.status}: ${(await reply.text()).slice(0, 500)}`)
  }
  return readAnswer(reply.body, sentAt)
}

interface Chunk {
  readonly choices: readonly {
    readonly delta: { readonly content?: string }
    readonly finish_reason: string | null
  }[]
  readonly usage?: {
    readonly prompt_tokens: number
    readonly completion_tokens: number
    readonly prompt_tokens_details: { readonly cached_tokens: number }
  } | null
  readonly cache?: CacheObjectJson
  readonly timings?: { readonly prompt_n: number }
  readonly error?: { readonly message: string }
}

async function readAnswer(body: AsyncIterable<Uint8Array>, sentAt: number): Promise<ChatAnswer> {
  const text: string[] = []
  let firstAt: number | null = null
  let lastAt = sentAt
  let finishedAt: number | null = null
  let last: Chunk | null = null
  for await (const event of eventsOf(body)) {
    const chunk = event as Chunk
    if (chunk.error !== undefined) throw new Error(`The answer failed: ${chunk.error.message}`)
    const choice = chunk.choices[0]
    if (choice?.delta.content) {
      text.push(choice.delta.content)
      lastAt = performance.now()
      firstAt ??= lastAt
    }
    // An answer may be empty; then its end is the first thing that there is to see.
    if (choice?.finish_reason) finishedAt ??= performance.now()
    if (chunk.usage) last = chunk
  }
  const { usage, cache, timings } = last ?? {}
  if (!usage || !cache || !timings || finishedAt === null) {
    throw new Error('The answer ended without its usage.')
  }
  return {
    text: text.join(''),
    promptTokens: usage.prompt_tokens,
    cachedTokens: usage.prompt_tokens_details.cached_tokens,
    computedTokens: timings.prompt_n,
    savedTokens: cache.tokens.saved,
    generatedTokens: usage.completion_tokens,
    tier: cache.tier,
    ttftMs: (firstAt ?? finishedAt) - sentAt,
    decodeMs: firstAt === null ? 0 : lastAt - firstAt,
    answerMs: finishedAt - sentAt,
  }
}

/** Removes the copies of one tier; what the other tier has stays. */
export async function emptyTier(url: string, tier: TierName): Promise<void> {
  const reply = await fetch(`${url}/v1/cache/evict`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ tier }),
  })
  if (!reply.ok) throw new Error(`Evicting answered ${reply.status}: ${await reply.text()}`)
}

/** What one recorded request says: the service's own figures, whatever the dialect. Pure. */
import type { TierName } from '../../cache/index.ts'
import type { CacheObjectJson } from '../../src/api/native/schema.ts'
import type { Recording } from './recorder.ts'

export interface Exchange {
  readonly status: number
  /** The service said its last word: neither side left before. */
  readonly isWhole: boolean
  /** Part of the conversation; requests without tools are titles and the like. */
  readonly isMain: boolean
  /** Of `usage`, as the agent reads it; 0 where there is none. */
  readonly promptTokens: number
  readonly cachedTokens: number
  /** Of the `cache` object: what the engine confirmed. */
  readonly computedTokens: number
  readonly tier: TierName | null
  readonly ttftMs: number | null
  /** The answer ended at a limit of tokens, not by itself. */
  readonly isCut: boolean
}

interface Usage {
  readonly prompt_tokens?: number
  readonly prompt_tokens_details?: { readonly cached_tokens?: number }
  readonly input_tokens?: number
  readonly input_tokens_details?: { readonly cached_tokens?: number }
  readonly cache_read_input_tokens?: number
  readonly cache_creation_input_tokens?: number
}

interface Reported {
  readonly usage?: Usage | null
  readonly cache?: CacheObjectJson
  readonly response?: Reported
}

const generating = /\/v1\/(messages|chat\/completions|responses)(\?.*)?$/
const cutMark = /"(stop_reason":"max_tokens|finish_reason":"length|type":"response\.incomplete)"/

/** Null for what asks for no answer: model lists, counting. */
export function readExchange(recording: Recording): Exchange | null {
  const { path, requestBody, status, replyBody, isWhole } = recording
  if (!generating.test(path)) return null
  const { tools } = parse(requestBody) as { tools?: unknown }
  const reported = lastReport(replyBody)
  const { cache } = reported
  return {
    status,
    // Codex closes behind the last event, before the stream's end.
    isWhole: isWhole || cache !== undefined,
    isMain: Array.isArray(tools) && tools.length > 0,
    ...tokensOf(reported.usage ?? {}),
    computedTokens: cache?.tokens.computed ?? 0,
    tier: cache?.tier ?? null,
    ttftMs: cache?.ms.ttft ?? null,
    isCut: cutMark.test(replyBody),
  }
}

/** Anthropic's input figures sum to the prompt; OpenAI's cached tokens are a part of it. */
function tokensOf(usage: Usage): Pick<Exchange, 'promptTokens' | 'cachedTokens'> {
  const { cache_read_input_tokens: read, cache_creation_input_tokens: created } = usage
  if (read !== undefined) {
    return { promptTokens: (usage.input_tokens ?? 0) + read + (created ?? 0), cachedTokens: read }
  }
  const details = usage.prompt_tokens_details ?? usage.input_tokens_details
  return {
    promptTokens: usage.prompt_tokens ?? usage.input_tokens ?? 0,
    cachedTokens: details?.cached_tokens ?? 0,
  }
}

/** A whole reply, or the last event of a stream that has a `cache` object. */
function lastReport(replyBody: string): Reported {
  const bodies = replyBody.startsWith('{') ? [replyBody] : dataOf(replyBody)
  const reports = bodies
    .filter((body) => body.includes('"cache":'))
    .map((body) => parse(body) as Reported)
    .map((body) => body.response ?? body)
  return reports.findLast(({ cache }) => cache !== undefined) ?? {}
}

const dataOf = (stream: string): string[] =>
  stream.split('\n').flatMap((line) => (line.startsWith('data: {') ? [line.slice(6)] : []))

function parse(body: string): object {
  try {
    return JSON.parse(body) as object
  } catch {
    return {}
  }
}

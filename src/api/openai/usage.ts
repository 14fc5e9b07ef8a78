/** A receipt in OpenAI's words, in llama-server's and in ours. Pure; no figure is a plan. */
import type OpenAI from 'openai'
import type { Receipt } from '../../pipeline/types.ts'
import { roundMs } from '../milliseconds.ts'
import type { CacheObjectJson } from '../native/schema.ts'

/**
 * The details are parts of `prompt_tokens` that do not overlap. What was saved may be more: the
 * answer is stored too, for the next turn; `cache.tokens.saved` has all of it.
 */
export function toUsage(receipt: Receipt) {
  return {
    prompt_tokens: receipt.promptTokens,
    completion_tokens: receipt.generatedTokens,
    total_tokens: receipt.promptTokens + receipt.generatedTokens,
    prompt_tokens_details: {
      cached_tokens: receipt.restoredTokens,
      cache_write_tokens: writtenTokens(receipt),
    },
  } satisfies OpenAI.CompletionUsage
}

/** Each prompt's own part: of plain sums one's answer would count as another's prompt. */
interface SummedReceipt extends Receipt {
  readonly writtenTokens: number
}

function writtenTokens(receipt: Receipt | SummedReceipt): number {
  if ('writtenTokens' in receipt) return receipt.writtenTokens
  return Math.min(receipt.savedTokens, receipt.promptTokens - receipt.restoredTokens)
}

export function toCacheObject(receipt: Receipt): CacheObjectJson {
  const { status, tier, prefix, blocks, miss, reasons, ms } = receipt
  return {
    status,
    tier,
    prefix,
    blocks: { hit: blocks.hit, total: blocks.total, block_tokens: blocks.blockTokens },
    tokens: {
      restored: receipt.restoredTokens,
      computed: receipt.computedTokens,
      saved: receipt.savedTokens,
    },
    ms: {
      load: roundMs(ms.load),
      queue: roundMs(ms.queue),
      tokenize: roundMs(ms.tokenize),
      plan: roundMs(ms.plan),
      restore: roundMs(ms.restore),
      prefill: roundMs(ms.prefill),
      decode: roundMs(ms.decode),
      save: roundMs(ms.save),
      ttft: ms.ttft === null ? null : roundMs(ms.ttft),
    },
    miss: miss && toMiss(miss),
    reasons: [...reasons],
    hygiene: (receipt.hygiene?.removed ?? []).map(({ name, chars }) => ({
      name,
      removed_chars: chars,
    })),
    volatile: (receipt.hygiene?.volatile ?? []).map(({ kind, message, atChar }) => ({
      kind,
      message,
      at_char: atChar,
    })),
  }
}

const toMiss = ({ reason, atToken, evictedAtMs }: NonNullable<Receipt['miss']>) => ({
  reason,
  at_token: atToken,
  ...(evictedAtMs === undefined ? {} : { evicted_at_ms: evictedAtMs }),
})

/** llama-server's `timings`; rates are null where nothing was measured. */
export interface Timings {
  readonly cache_n: number
  readonly prompt_n: number
  readonly prompt_ms: number
  readonly prompt_per_token_ms: number | null
  readonly prompt_per_second: number | null
  readonly predicted_n: number
  readonly predicted_ms: number
  readonly predicted_per_token_ms: number | null
  readonly predicted_per_second: number | null
}

export function toTimings(receipt: Receipt): Timings {
  const { computedTokens, generatedTokens, ms } = receipt
  return {
    cache_n: receipt.restoredTokens,
    prompt_n: computedTokens,
    prompt_ms: roundMs(ms.prefill),
    prompt_per_token_ms: ratio(ms.prefill, computedTokens),
    prompt_per_second: ratio(computedTokens * 1000, ms.prefill),
    predicted_n: generatedTokens,
    predicted_ms: roundMs(ms.decode),
    predicted_per_token_ms: ratio(ms.decode, generatedTokens),
    predicted_per_second: ratio(generatedTokens * 1000, ms.decode),
  }
}

const ratio = (value: number, per: number): number | null => (per > 0 ? roundMs(value / per) : null)

/**
 * One receipt for a request with several prompts: tokens and times are sums. What belongs to one
 * prompt alone (`prefix`, `miss`, the first token's time) is null.
 */
export function sumReceipts(receipts: readonly Receipt[]): Receipt {
  const [first, ...others] = receipts
  if (first === undefined) throw new RangeError('sumReceipts needs at least one receipt')
  return others.reduce<Receipt>(addReceipts, first)
}

function addReceipts(a: Receipt, b: Receipt): SummedReceipt {
  return {
    writtenTokens: writtenTokens(a) + writtenTokens(b),
    promptTokens: a.promptTokens + b.promptTokens,
    restoredTokens: a.restoredTokens + b.restoredTokens,
    computedTokens: a.computedTokens + b.computedTokens,
    savedTokens: a.savedTokens + b.savedTokens,
    generatedTokens: a.generatedTokens + b.generatedTokens,
    status: a.status === b.status ? a.status : 'partial',
    tier: a.tier === 'ssd' || b.tier === 'ssd' ? 'ssd' : (a.tier ?? b.tier),
    prefix: null,
    blocks: {
      hit: a.blocks.hit + b.blocks.hit,
      total: a.blocks.total + b.blocks.total,
      blockTokens: a.blocks.blockTokens,
    },
    miss: null,
    reasons: [...a.reasons, ...b.reasons],
    // The prompts of one request are one chat, or none is a chat.
    hygiene: a.hygiene,
    ms: {
      load: a.ms.load + b.ms.load,
      queue: a.ms.queue + b.ms.queue,
      tokenize: a.ms.tokenize + b.ms.tokenize,
      plan: a.ms.plan + b.ms.plan,
      restore: a.ms.restore + b.ms.restore,
      prefill: a.ms.prefill + b.ms.prefill,
      decode: a.ms.decode + b.ms.decode,
      save: a.ms.save + b.ms.save,
      ttft: null,
    },
  }
}

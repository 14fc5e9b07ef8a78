/** A receipt in Anthropic's words. Pure; no figure is a plan. */
import type Anthropic from '@anthropic-ai/sdk'
import type { Receipt } from '../../pipeline/types.ts'

/** How long the client asked its prefix to be kept, in the words of its breakpoints. */
export type Ttl = '5m' | '1h'

type Figures = Pick<Receipt, 'promptTokens' | 'restoredTokens' | 'savedTokens' | 'generatedTokens'>

/**
 * Three numbers that sum to the prompt: read from the cache, written to it, and the rest. The last
 * token is always computed and always of the rest: Claude Code takes a 0 in `message_delta` for
 * "not said" and would add the first event's number to what was written.
 */
function split({ promptTokens, restoredTokens, savedTokens }: Figures) {
  const computed = promptTokens - restoredTokens
  const written = Math.max(0, Math.min(savedTokens, computed - 1))
  return {
    input_tokens: computed - written,
    cache_creation_input_tokens: written,
    cache_read_input_tokens: restoredTokens,
  }
}

/** Of a whole message, or of a stream's first event, when nothing has been saved yet. */
export function toUsage(figures: Figures, ttl: Ttl) {
  const parts = split(figures)
  const written = parts.cache_creation_input_tokens
  return {
    ...parts,
    cache_creation: {
      ephemeral_5m_input_tokens: ttl === '5m' ? written : 0,
      ephemeral_1h_input_tokens: ttl === '1h' ? written : 0,
    },
    output_tokens: figures.generatedTokens,
    output_tokens_details: null,
    server_tool_use: null,
    service_tier: 'standard',
    inference_geo: null,
    speed: null,
  } satisfies Anthropic.Usage
}

/** Of a stream's end: all figures again, since this one overwrites what the first event said. */
export function toDeltaUsage(receipt: Receipt) {
  return {
    ...split(receipt),
    output_tokens: receipt.generatedTokens,
    output_tokens_details: null,
    server_tool_use: null,
  } satisfies Anthropic.MessageDeltaUsage
}

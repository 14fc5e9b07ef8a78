/** `GET /v1/models` as Anthropic's clients know it; they say so by `anthropic-version`. */
import type Anthropic from '@anthropic-ai/sdk'
import type { ModelCard } from '../../pipeline/types.ts'

export function toAnthropicModel({ id, createdAtMs, info }: ModelCard) {
  return {
    type: 'model',
    id,
    display_name: id,
    created_at: new Date(createdAtMs).toISOString(),
    // Prompt and answer share the context; both are null until the model is loaded.
    max_input_tokens: info?.contextTokens ?? null,
    max_tokens: info?.contextTokens ?? null,
    capabilities: null,
    lifecycle: 'active',
    line: null,
    deprecated_at: null,
    retires_at: null,
  } satisfies Anthropic.ModelInfo
}

/** All of them on one page. */
export function toAnthropicModels(cards: readonly ModelCard[]) {
  return {
    data: cards.map(toAnthropicModel),
    has_more: false,
    first_id: cards[0]?.id ?? null,
    last_id: cards.at(-1)?.id ?? null,
  } satisfies Pick<Anthropic.ModelInfosPage, 'data' | 'has_more' | 'first_id' | 'last_id'>
}

/**
 * Anthropic's `diagnostics`: why this prompt could not go on from the one of an earlier message.
 * Only clients that ask for it have their prompts remembered, as digests of what was rendered; so a
 * breakpoint that moves, or a line that hygiene removes, is no change.
 */
import { createHash } from 'node:crypto'
import type Anthropic from '@anthropic-ai/sdk'
import type { RenderInput } from '../../../engines/types.ts'

export interface DiagnosedPrompt {
  readonly tenant: string | null
  readonly model: string
  readonly input: RenderInput
}

interface Remembered {
  readonly tenant: string | null
  readonly model: string
  readonly system: string
  readonly tools: string
  readonly templateArgs: string
  readonly messages: string
  readonly messageCount: number
  readonly promptTokens: number
}

export interface PromptMemory {
  /**
   * Compares with the earlier message, null where nothing differs, and remembers this prompt under
   * its own `id`. Counts are what the engine confirmed.
   */
  diagnose(
    id: string,
    previousId: string | null,
    prompt: DiagnosedPrompt,
    counts: { readonly promptTokens: number; readonly restoredTokens: number },
  ): Anthropic.Diagnostics | null
}

/** Remembers so many prompts, the latest ones; each is a few hundred bytes. */
export function promptMemory(size: number): PromptMemory {
  const prompts = new Map<string, Remembered>()
  return {
    diagnose(id, previousId, prompt, { promptTokens, restoredTokens }) {
      const known = previousId === null ? null : (prompts.get(previousId) ?? null)
      // One key must not learn what another one's prompts were.
      const previous = known?.tenant === prompt.tenant ? known : null
      prompts.set(id, { ...digestsOf(prompt), promptTokens })
      const [oldest] = prompts.keys()
      if (prompts.size > size && oldest !== undefined) prompts.delete(oldest)
      if (previousId === null) return null
      const cache_miss_reason = reasonOf(previous, prompt, restoredTokens)
      return cache_miss_reason && { cache_miss_reason }
    },
  }
}

/** The first difference in the order in which templates write. */
function reasonOf(
  previous: Remembered | null,
  prompt: DiagnosedPrompt,
  restoredTokens: number,
): Anthropic.CacheMissReason | null {
  if (previous === null) return { type: 'previous_message_not_found' }
  const now = digestsOf(prompt, previous.messageCount)
  const cache_missed_input_tokens = Math.max(0, previous.promptTokens - restoredTokens)
  if (now.model !== previous.model) return { type: 'model_changed', cache_missed_input_tokens }
  if (now.system !== previous.system) return { type: 'system_changed', cache_missed_input_tokens }
  if (now.tools !== previous.tools) return { type: 'tools_changed', cache_missed_input_tokens }
  // The API has no word for it: thinking or effort, which most templates write near the beginning.
  if (now.templateArgs !== previous.templateArgs) return { type: 'unavailable' }
  if (now.messages === previous.messages) return null
  return { type: 'messages_changed', cache_missed_input_tokens }
}

/** `messageCount`: so many messages behind the system prompt; absent: all of them. */
function digestsOf({ tenant, model, input }: DiagnosedPrompt, messageCount?: number) {
  const first = input.messages.findIndex(({ role }) => role !== 'system')
  const from = first < 0 ? input.messages.length : first
  const messages = input.messages.slice(from)
  return {
    tenant,
    model,
    system: digest(input.messages.slice(0, from)),
    tools: digest(input.tools ?? []),
    templateArgs: digest(input.templateArgs ?? {}),
    messages: digest(messages.slice(0, messageCount)),
    messageCount: messages.length,
  }
}

const digest = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('base64')

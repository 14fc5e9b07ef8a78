/**
 * Hygiene: named normalisers remove what keeps equal prompts apart, and say so; what they may not
 * remove is reported. It works on the chat before any template, so that all dialects have it.
 */
import type { HygieneReport } from '../../pipeline/types.ts'
import type { Chat } from '../messages.ts'
import { claudeCodeBilling } from './claude-code-billing.ts'
import { applyNormaliser, type Normaliser, type Removed } from './normaliser.ts'
import { findVolatile } from './volatile.ts'

/** In the order in which they run. The setting `hygiene` knows the same names. */
export const normalisers: readonly Normaliser[] = [claudeCodeBilling]

export interface CleanChat {
  readonly chat: Chat
  readonly report: HygieneReport
}

/** `names`: the normalisers that are on. Places in the report are those of the chat that came. */
export function cleanChat(chat: Chat, names: readonly string[]): CleanChat {
  const removed: Removed[] = []
  let { messages } = chat
  for (const normaliser of normalisers) {
    if (!names.includes(normaliser.name)) continue
    const cleaned = applyNormaliser(normaliser, messages)
    // A chat of nothing else is one that somebody wants to see rendered.
    if (cleaned.messages.length === 0) continue
    messages = cleaned.messages
    if (cleaned.removed !== null) removed.push(cleaned.removed)
  }
  const report = { removed, volatile: findVolatile(chat.messages) }
  return { chat: removed.length === 0 ? chat : { ...chat, messages }, report }
}

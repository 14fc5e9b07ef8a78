/**
 * The prompt that ends inside the assistant's last message, so that the answer goes on with it.
 * Templates close every message, each in its own way; so a mark behind the text says where the
 * closing begins. Pure.
 */
import type { RenderInput } from '../../../engines/types.ts'

const mark = 'PREFIXD-GOES-ON-HERE'

/** The same chat with the mark behind its last message, whose content is a string. */
export function withMark(input: RenderInput): RenderInput {
  const { messages } = input
  const last = messages.at(-1)
  const marked = { ...last, content: `${String(last?.content)}${mark}` }
  return { ...input, messages: [...messages.slice(0, -1), marked], addGenerationPrompt: false }
}

/** What stands before the mark; null where the template did not write it, or wrote it twice. */
export function cutAtMark(text: string): string | null {
  const at = text.indexOf(mark)
  return at >= 0 && text.indexOf(mark, at + 1) < 0 ? text.slice(0, at) : null
}

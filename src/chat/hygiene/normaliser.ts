/**
 * A normaliser removes text that differs where prompts could be equal, and says nothing to the
 * model.
 */
import type { ChatMessage } from '../messages.ts'

export interface Normaliser {
  readonly name: string
  /** Roles whose text it looks at. */
  readonly roles: readonly string[]
  /**
   * The text without what it removes; the same string when there is nothing. `isPart`: this is one
   * of several parts of a message, and goes as a whole when it comes back empty.
   */
  clean(text: string, isPart: boolean): string
}

export interface Removed {
  readonly name: string
  /** How often. */
  readonly count: number
  readonly chars: number
}

interface Cleaned {
  readonly messages: readonly ChatMessage[]
  readonly removed: Removed | null
}

/** Messages and parts of which nothing is left go too; all others are the objects that came in. */
export function applyNormaliser(normaliser: Normaliser, messages: readonly ChatMessage[]): Cleaned {
  let count = 0
  let chars = 0
  const clean = (text: string, isPart: boolean): string => {
    const left = normaliser.clean(text, isPart)
    if (left === text) return text
    count += 1
    chars += text.length - left.length
    return left
  }
  const cleaned = messages.flatMap((message): readonly ChatMessage[] => {
    if (!normaliser.roles.includes(message.role)) return [message]
    const before = count
    const { content } = message
    const left = typeof content === 'string' ? clean(content, false) : cleanParts(content, clean)
    if (count === before) return [message]
    return left === null || left === undefined || left.length === 0
      ? []
      : [{ ...message, content: left }]
  })
  const removed = count === 0 ? null : { name: normaliser.name, count, chars }
  return { messages: removed === null ? messages : cleaned, removed }
}

function cleanParts(
  parts: Exclude<ChatMessage['content'], string>,
  clean: (text: string, isPart: boolean) => string,
): typeof parts {
  return parts?.flatMap((part) => {
    if (part.type !== 'text' || typeof part.text !== 'string') return [part]
    const text = clean(part.text, true)
    if (text === part.text) return [part]
    return text === '' ? [] : [{ ...part, text }]
  })
}

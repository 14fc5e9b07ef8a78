/**
 * The spellings of a session's id become one. It serves reports, affinity and retention; it is
 * never a part of any hash, so a wrong one costs nothing but a line in a list. Pure.
 */
import { limits } from '../config/limits.ts'

/** Our own; Claude Code; opencode; Codex, whose `prompt_cache_key` is the same id again. */
const headerNames = [
  'x-prefixd-session',
  'x-claude-code-session-id',
  'x-session-id',
  'x-session-affinity',
  'session-id',
  'thread-id',
] as const

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

/**
 * The first one that can be an id: 1 to 512 printable ASCII characters. Null when there is none.
 * `bodyHints` are fields that hold an id themselves; `userId` is Anthropic's `metadata.user_id`.
 */
export function readSession(
  headers: Headers,
  bodyHints: readonly unknown[],
  userId: unknown,
): string | null {
  const candidates = [...headerNames.map((name) => headers[name]), ...bodyHints, sessionIn(userId)]
  return candidates.find(isId) ?? null
}

const isId = (value: unknown): value is string =>
  typeof value === 'string' &&
  value.length <= limits.sessionIdLength &&
  /^[\x20-\x7e]*[\x21-\x7e][\x20-\x7e]*$/.test(value)

/**
 * Claude Code hides the session in `metadata.user_id`: `user_…_account_…_session_ID` in older
 * versions, JSON with `session_id` in newer ones. Anybody else's `user_id` names a person.
 */
function sessionIn(userId: unknown): unknown {
  if (typeof userId !== 'string' || userId.length > 2 * limits.sessionIdLength) return null
  const marked = /_session_([\w-]+)$/.exec(userId)?.[1]
  if (marked !== undefined || !userId.startsWith('{')) return marked ?? null
  try {
    return (JSON.parse(userId) as { session_id?: unknown }).session_id
  } catch {
    return null
  }
}

/**
 * Diagnostics, one line each, on the way to the terminal. Never prompt text: tokens appear as
 * counts only.
 */

export type LogLevel = 'error' | 'warn' | 'info' | 'debug'

export interface Log {
  error(message: string, error?: unknown): void
  warn(message: string, error?: unknown): void
  info(message: string): void
  debug(message: string): void
}

const levels: readonly LogLevel[] = ['error', 'warn', 'info', 'debug']

/** The same warning again within this time is counted, not written. */
const repeatMs = 10_000
/** Distinct messages whose repetition is remembered. */
const rememberedMessages = 200

/** What went wrong, and under which code docs/errors.md or the system's manual has it. */
function causeOf(error: unknown): string {
  if (error === undefined || error === null) return ''
  const message = error instanceof Error ? error.message : String(error)
  const { code } = error as { code?: unknown }
  // Node's own messages begin with it.
  const isNew = typeof code === 'string' && code !== '' && !message.includes(code)
  return `: ${message}${isNew ? ` (${code})` : ''}`
}

export function createLog(
  level: LogLevel,
  write: (line: string) => void,
  now: () => number = Date.now,
): Log {
  const latest = new Map<string, { atMs: number; skipped: number }>()

  /** A disk that refuses every write must not flood the terminal. */
  function isRepeated(line: string): number | null {
    const seen = latest.get(line)
    if (seen !== undefined && now() - seen.atMs < repeatMs) {
      seen.skipped++
      return null
    }
    if (latest.size >= rememberedMessages) latest.clear()
    latest.set(line, { atMs: now(), skipped: 0 })
    return seen?.skipped ?? 0
  }

  function say(at: LogLevel, message: string, error?: unknown): void {
    if (levels.indexOf(at) > levels.indexOf(level)) return
    const line = `${at}: ${message}${causeOf(error)}`
    const skipped = isRepeated(line)
    if (skipped === null) return
    write(skipped === 0 ? line : `${line} (and ${skipped} times before)`)
  }

  return {
    error: (message, error) => say('error', message, error),
    warn: (message, error) => say('warn', message, error),
    info: (message) => say('info', message),
    debug: (message) => say('debug', message),
  }
}

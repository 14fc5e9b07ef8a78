/**
 * Text that differs between sessions: dates, folders, the state of git. It is reported, because it
 * ends what two sessions can share, and never rewritten, because the model needs it. Pure.
 */
import { limits } from '../../config/limits.ts'
import type { VolatileSpan } from '../../pipeline/types.ts'
import type { ChatMessage } from '../messages.ts'

const month = '(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]{0,6}'
const day = '(?:mon|tues|wednes|thurs|fri|satur|sun)day'
const date = String.raw`\d{4}[-/]\d{1,2}[-/]\d{1,2}|\d{1,2}[./]\d{1,2}[./]\d{2,4}`
const written = String.raw`${day}|${month}\.? \d{1,2}|\d{1,2}\.? ${month}`

/** Group 1 is the span itself. */
const patterns: readonly (readonly [kind: VolatileSpan['kind'], pattern: RegExp])[] = [
  // "Today's date is 2026-11-24", "Current date: Tue Nov 24", "today is Tuesday".
  [
    'date',
    new RegExp(
      String.raw`\b(?:today|date|time|now)\b[^\n]{0,24}?(?<![\w.-])(${date}|${written})`,
      'gdi',
    ),
  ],
  // A time of day behind a date is of now, whatever stands before it.
  ['date', /(?<![\w.-])(\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2})/dg],
  // "Working directory: /home/ada/project", "cwd=/srv", "<cwd>/tmp/x</cwd>".
  [
    'path',
    new RegExp(
      String.raw`\b(?:working directory|cwd|current directory|workspace(?: root| folder)?|` +
        String.raw`project root|repository root)\b[^\n/\\~]{0,16}` +
        String.raw`((?:~?/|[a-z]:\\)[^\s<>"'${'`'}]+)`,
      'gdi',
    ),
  ],
  ['path', /(?<![\w/.])((?:\/home\/|\/Users\/|[A-Z]:\\Users\\)[\w.-]+)/dg],
  // "gitStatus: …", "Current branch: main", "Recent commits:".
  ['git', /\b(gitStatus|git status|current branch|recent commits)\b *[:\n]/dgi],
]

/** Of one kind in one message; one line says enough, and the next message has its own. */
const perKindAndMessage = 2

/**
 * Looks at the beginning of the chat: up to and with the first message of the user, which is what
 * sessions could share; 256 Ki characters at most.
 */
export function findVolatile(messages: readonly ChatMessage[]): readonly VolatileSpan[] {
  const spans: VolatileSpan[] = []
  let budget: number = limits.hygieneScanChars
  for (const [message, { role, content }] of messages.entries()) {
    const text = textOf(content).slice(0, budget)
    budget -= text.length
    const found = spansOf(text).map((span) => ({ ...span, message }))
    spans.push(...found.sort((a, b) => a.atChar - b.atChar))
    if (role === 'user' || budget <= 0 || spans.length >= limits.volatileSpans) break
  }
  return spans.slice(0, limits.volatileSpans)
}

function spansOf(text: string): Omit<VolatileSpan, 'message'>[] {
  const counts = new Map<VolatileSpan['kind'], Set<number>>()
  for (const [kind, pattern] of patterns) {
    const places = counts.get(kind) ?? new Set()
    counts.set(kind, places)
    for (const match of text.matchAll(pattern)) {
      if (places.size >= perKindAndMessage) break
      places.add(match.indices?.[1]?.[0] ?? match.index)
    }
  }
  return [...counts].flatMap(([kind, places]) => [...places].map((atChar) => ({ kind, atChar })))
}

function textOf(content: ChatMessage['content']): string {
  if (typeof content === 'string') return content
  return (content ?? []).map(({ text }) => (typeof text === 'string' ? text : '')).join('')
}

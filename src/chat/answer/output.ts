/** The parts of one answer in the order in which they were read, without the markup's own space. */
import type { AnswerPart } from './types.ts'

export interface Output {
  text(text: string): void
  reasoning(text: string): void
  /** Begins a call. */
  call(name: string): void
  arguments(text: string): void
  /** Has visible text, or a call, been read? */
  hasSaidSomething(): boolean
  calls(): number
  /** Text that follows is behind markup: newlines at its beginning belong to that. */
  afterMarkup(): void
  /** What has been read since the last call. */
  drain(): AnswerPart[]
  /** Space that turned out to be the text's own. */
  finish(): void
}

/** Text whose place in the answer is known. */
interface Span {
  readonly text: string
  readonly at: number
}

/**
 * `jointNewlines`: so many templates write between an answer's text and its first call. `position`
 * tells where in the answer the piece ends that is being added.
 */
export function createOutput(jointNewlines: number, position: () => number): Output {
  let parts: AnswerPart[] = []
  const addText = ({ text, at }: Span): void => {
    const last = parts.at(-1)
    if (last?.type === 'text' && last.at + last.text.length === at) {
      parts[parts.length - 1] = { ...last, text: last.text + text }
    } else parts.push({ type: 'text', text, at })
  }
  const addReasoning = (text: string): void => {
    const last = parts.at(-1)
    if (last?.type === 'reasoning') parts[parts.length - 1] = { ...last, text: last.text + text }
    else parts.push({ type: 'reasoning', text })
  }
  let calls = 0
  let saidText = false
  let trimsText = false
  let heldSpace: Span[] = []
  let heldNewlines = ''
  let saidReasoning = false

  /** Space at the end may stand before a call; newlines at the beginning may be markup's. */
  const readText = (text: string): void => {
    const fresh = trimsText && heldSpace.length === 0 ? text.replace(/^\n+/, '') : text
    if (fresh === '') return
    trimsText = false
    const at = position() - fresh.length
    const kept = fresh.trimEnd()
    if (kept === '') {
      heldSpace.push({ text: fresh, at })
      return
    }
    saidText = true
    for (const span of [...heldSpace, { text: kept, at }]) addText(span)
    const space = fresh.slice(kept.length)
    heldSpace = space === '' ? [] : [{ text: space, at: at + kept.length }]
  }

  const endReasoning = (): void => {
    heldNewlines = ''
    saidReasoning = false
  }

  return {
    text: readText,
    reasoning(text) {
      const all = heldNewlines + (saidReasoning ? text : text.replace(/^\n+/, ''))
      const kept = all.replace(/\n+$/, '')
      heldNewlines = all.slice(kept.length)
      if (kept === '') return
      saidReasoning = true
      addReasoning(kept)
    },
    call(name) {
      endReasoning()
      // Space alone, before a call or between two, is nobody's text.
      const isText = saidText && calls === 0
      if (isText) withoutNewlines(heldSpace, jointNewlines).forEach(addText)
      heldSpace = []
      parts.push({ type: 'tool_call', index: calls, name })
      calls += 1
    },
    arguments(text) {
      if (text === '') return
      const index = calls - 1
      const last = parts.at(-1)
      if (last?.type === 'tool_arguments' && last.index === index) parts.pop()
      const before = last?.type === 'tool_arguments' && last.index === index ? last.text : ''
      parts.push({ type: 'tool_arguments', index, text: before + text })
    },
    hasSaidSomething: () => saidText || calls > 0,
    calls: () => calls,
    afterMarkup() {
      endReasoning()
      trimsText = true
      if (!saidText) heldSpace = []
    },
    drain() {
      const drained = parts
      parts = []
      return drained
    },
    finish() {
      if (calls === 0) heldSpace.forEach(addText)
      heldSpace = []
    },
  }
}

/** Without the last newlines, so many at most. */
function withoutNewlines(spans: readonly Span[], most: number): Span[] {
  const whole = spans.map(({ text }) => text).join('')
  let left = whole.length
  while (whole.length - left < most && whole[left - 1] === '\n') left -= 1
  return spans.flatMap(({ text, at }) => {
    const kept = text.slice(0, left)
    left -= kept.length
    return kept === '' ? [] : [{ text: kept, at }]
  })
}

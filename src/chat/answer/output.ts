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

/** `jointNewlines`: so many templates write between an answer's text and its first call. */
export function createOutput(jointNewlines: number): Output {
  let parts: AnswerPart[] = []
  const add = (type: 'text' | 'reasoning', text: string): void => {
    const last = parts.at(-1)
    if (last?.type === type) parts[parts.length - 1] = { type, text: last.text + text }
    else parts.push({ type, text })
  }
  let calls = 0
  let saidText = false
  let trimsText = false
  let heldSpace = ''
  let heldNewlines = ''
  let saidReasoning = false

  /** Space at the end may stand before a call; newlines at the beginning may be markup's. */
  const addText = (text: string): void => {
    const fresh = trimsText && heldSpace === '' ? text.replace(/^\n+/, '') : text
    if (fresh === '') return
    trimsText = false
    const all = heldSpace + fresh
    const kept = all.trimEnd()
    heldSpace = all.slice(kept.length)
    if (kept === '') return
    saidText = true
    add('text', kept)
  }

  const endReasoning = (): void => {
    heldNewlines = ''
    saidReasoning = false
  }

  return {
    text: addText,
    reasoning(text) {
      const all = heldNewlines + (saidReasoning ? text : text.replace(/^\n+/, ''))
      const kept = all.replace(/\n+$/, '')
      heldNewlines = all.slice(kept.length)
      if (kept === '') return
      saidReasoning = true
      add('reasoning', kept)
    },
    call(name) {
      endReasoning()
      // Space alone, before a call or between two, is nobody's text.
      const isText = saidText && calls === 0
      const space = withoutNewlines(heldSpace, jointNewlines)
      if (isText && space !== '') add('text', space)
      heldSpace = ''
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
      if (!saidText) heldSpace = ''
    },
    drain() {
      const drained = parts
      parts = []
      return drained
    },
    finish() {
      if (heldSpace !== '' && calls === 0) add('text', heldSpace)
      heldSpace = ''
    },
  }
}

/** Without its last newlines, so many at most. */
function withoutNewlines(text: string, most: number): string {
  let end = text.length
  while (text.length - end < most && text[end - 1] === '\n') end -= 1
  return text.slice(0, end)
}

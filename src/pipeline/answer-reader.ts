/** What the model writes → events: parts by its family's format, cut at the first stop string. */
import { randomBytes } from 'node:crypto'
import { answerFormatOf } from '../chat/answer/format.ts'
import { toolShapesOf } from '../chat/answer/tool-shapes.ts'
import type { AnswerParser, AnswerPart } from '../chat/answer/types.ts'
import { createStopFilter } from './stop-strings.ts'
import type { GenerateEvent, Prompt } from './types.ts'

export interface AnswerReader {
  push(text: string): GenerateEvent[]
  /** Nothing comes any more. */
  end(): GenerateEvent[]
  /** The stop string that ended the answer. */
  readonly stopString: string | null
  /** The answer is over, whatever the model goes on with. */
  readonly isOver: boolean
  readonly calls: number
}

export interface AnswerReaderOptions {
  /** Null: the text means nothing but itself. */
  readonly parser: AnswerParser | null
  /** Looked for in visible text only: never in reasoning, names or arguments. */
  readonly stops: readonly string[]
  /** False: the answer is over where a second call would begin. */
  readonly parallelCalls: boolean
}

/** Null for prompts that are no chats, and where the template has neither calls nor reasoning. */
export function parserFor(
  prompt: Prompt,
  promptEnd: string,
  template: string | null,
): AnswerParser | null {
  if (prompt.kind !== 'chat') return null
  const tools = toolShapesOf(prompt.input.tools)
  return answerFormatOf(template).parser({ tools, promptEnd })
}

export function createAnswerReader(options: AnswerReaderOptions): AnswerReader {
  const { parser, parallelCalls } = options
  const filter = createStopFilter(options.stops)
  let stopString: string | null = null
  let isOver = false
  let calls = 0

  const read = (part: AnswerPart): GenerateEvent[] => {
    if (isOver) return []
    if (part.type === 'text') {
      const verdict = filter.push(part.text)
      stopString = verdict.stopString
      isOver = stopString !== null
      return textEvents(verdict.text)
    }
    // A stop string does not go on behind a call or reasoning.
    const held = textEvents(filter.flush())
    if (part.type !== 'tool_call') return [...held, part]
    if (calls > 0 && !parallelCalls) {
      isOver = true
      return held
    }
    calls += 1
    return [...held, { ...part, id: `call_${randomBytes(12).toString('hex')}` }]
  }

  return {
    push: (text) => {
      const parts: AnswerPart[] = parser?.push(text) ?? [{ type: 'text', text }]
      return parts.flatMap(read)
    },
    end: () => {
      const events = (parser?.end() ?? []).flatMap(read)
      return isOver ? events : [...events, ...textEvents(filter.flush())]
    },
    get stopString() {
      return stopString
    },
    get isOver() {
      return isOver
    },
    get calls() {
      return calls
    },
  }
}

const textEvents = (text: string): GenerateEvent[] => (text === '' ? [] : [{ type: 'text', text }])

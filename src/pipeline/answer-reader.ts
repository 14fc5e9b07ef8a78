/** What the model writes → events: parts by its family's format, cut at the first stop string. */
import { randomBytes } from 'node:crypto'
import type { ModelInfo } from '../../engines/index.ts'
import { answerFormatOf } from '../chat/answer/format.ts'
import { toolShapesOf } from '../chat/answer/tool-shapes.ts'
import type { AnswerParser, AnswerPart } from '../chat/answer/types.ts'
import { createAttribution, type SampledToken } from './attribution.ts'
import { createStopFilter } from './stop-strings.ts'
import type { Dialect, GenerateEvent, GenerateRequest, Prompt } from './types.ts'

export interface AnswerReader {
  /** `token`: what the text was written with, where the client wants to hear of it. */
  push(text: string, token?: SampledToken): GenerateEvent[]
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
  readonly dialect: Dialect
  /** Tell which tokens the visible text is made of. */
  readonly namesTokens: boolean
}

/** Null for prompts that are no chats, and where the template has neither calls nor reasoning. */
function parserFor(
  prompt: Prompt,
  promptEnd: string,
  template: string | null,
): AnswerParser | null {
  if (prompt.kind !== 'chat') return null
  const tools = toolShapesOf(prompt.input.tools)
  return answerFormatOf(template).parser({ tools, promptEnd })
}

/** The reader that a request needs. `promptEnd` as the worker's template has rendered it. */
export function openReader(
  request: GenerateRequest,
  promptEnd: string,
  { chatTemplate }: ModelInfo,
): AnswerReader {
  return createAnswerReader({
    parser: parserFor(request.prompt, promptEnd, chatTemplate),
    stops: request.stop,
    parallelCalls: request.parallelToolCalls ?? true,
    dialect: request.dialect,
    namesTokens: typeof request.topLogprobs === 'number',
  })
}

/** As Anthropic's clients know them, and all others. */
function newCallId(dialect: Dialect): string {
  const beginning = dialect === 'messages' ? 'toolu' : 'call'
  return `${beginning}_${randomBytes(12).toString('hex')}`
}

export function createAnswerReader(options: AnswerReaderOptions): AnswerReader {
  const { parser, parallelCalls, dialect } = options
  const filter = createStopFilter(options.stops)
  const attribution = options.namesTokens ? createAttribution() : null
  let writtenLength = 0
  let stopString: string | null = null
  let isOver = false
  let calls = 0

  const show = (text: string): GenerateEvent[] => {
    if (text === '') return []
    return [{ type: 'text', text, ...(attribution && { tokens: attribution.shown(text.length) }) }]
  }

  const read = (part: AnswerPart): GenerateEvent[] => {
    if (isOver) return []
    if (part.type === 'text') {
      attribution?.found(part.text, part.at)
      const verdict = filter.push(part.text)
      stopString = verdict.stopString
      isOver = stopString !== null
      return show(verdict.text)
    }
    // A stop string does not go on behind a call or reasoning.
    const held = show(filter.flush())
    if (part.type !== 'tool_call') return [...held, part]
    if (calls > 0 && !parallelCalls) {
      isOver = true
      return held
    }
    calls += 1
    return [...held, { ...part, id: newCallId(dialect) }]
  }

  return {
    push: (text, token) => {
      if (token !== undefined) attribution?.wrote(text, token)
      const at = writtenLength
      writtenLength += text.length
      const parts: AnswerPart[] = parser?.push(text) ?? [{ type: 'text', text, at }]
      return parts.flatMap(read)
    },
    end: () => {
      const events = (parser?.end() ?? []).flatMap(read)
      return isOver ? events : [...events, ...show(filter.flush())]
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

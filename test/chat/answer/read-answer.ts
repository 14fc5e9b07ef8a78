/** Reads an answer in pieces, and puts together what belongs together. */
import { answerFormatOf } from '../../../src/chat/answer/format.ts'
import type { AnswerPart, ToolShape } from '../../../src/chat/answer/types.ts'
import { tools as allTools, type Fixture } from './fixtures.ts'

type Unplaced<Part> = Part extends unknown ? Omit<Part, 'at'> : never

export interface Read {
  readonly text: string
  readonly reasoning: string
  readonly calls: readonly (readonly [string, string])[]
  /** What the answer consists of, pieces of one kind as one, without their places. */
  readonly parts: readonly Unplaced<AnswerPart>[]
}

export function readAnswer(
  { template, promptEnd }: Pick<Fixture, 'template' | 'promptEnd'>,
  pieces: readonly string[],
  tools: readonly ToolShape[] = allTools,
): Read {
  const parser = answerFormatOf(template).parser({ tools, promptEnd: promptEnd ?? '' })
  if (parser === null) throw new Error('this family reads nothing here')
  return joined([...pieces.flatMap((piece) => parser.push(piece)), ...parser.end()])
}

export function joined(all: readonly AnswerPart[]): Read {
  const parts: Unplaced<AnswerPart>[] = []
  const calls: [string, string][] = []
  let text = ''
  let reasoning = ''
  for (const part of all) {
    if (part.type === 'tool_call') {
      if (part.index !== calls.length) throw new Error(`call ${part.index} out of order`)
      calls.push([part.name, ''])
    }
    if (part.type === 'tool_arguments') {
      const call = calls[part.index]
      if (call === undefined || part.index !== calls.length - 1) throw new Error('lost arguments')
      call[1] += part.text
    }
    if (part.type === 'text') text += part.text
    if (part.type === 'reasoning') reasoning += part.text
    const last = parts.at(-1)
    if (last?.type === part.type && 'text' in last && 'text' in part) {
      parts[parts.length - 1] = { ...last, text: last.text + part.text }
    } else parts.push(part.type === 'text' ? { type: 'text', text: part.text } : part)
  }
  return { text, reasoning, calls, parts }
}

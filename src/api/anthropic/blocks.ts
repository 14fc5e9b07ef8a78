/**
 * Events of an answer → content blocks: one is open at a time, and each begins, grows and stops
 * before the next one. Thinking ends with a signature, which clients send back with it.
 */
import { createHash } from 'node:crypto'
import type Anthropic from '@anthropic-ai/sdk'
import type { AnswerEvent, Outcome } from '../answer.ts'

type StreamEvent = Anthropic.RawMessageStreamEvent
type StartedBlock = Anthropic.RawContentBlockStartEvent['content_block']

/** Anthropic signs thinking to know its own; here nothing is secret, and any signature is taken. */
const signatureOf = (thinking: string): string =>
  createHash('sha256').update(thinking).digest('base64')

const textBlock = (text: string) =>
  ({ type: 'text', text, citations: null }) satisfies Anthropic.TextBlock
const thinkingBlock = (thinking: string, signature: string) =>
  ({ type: 'thinking', thinking, signature }) satisfies Anthropic.ThinkingBlock
const toolBlock = (id: string, name: string, input: object) =>
  ({
    type: 'tool_use',
    id,
    name,
    input,
    caller: { type: 'direct' },
  }) satisfies Anthropic.ToolUseBlock

export interface BlockWriter {
  /** What goes to the client for this event of the answer; often nothing. */
  write(event: AnswerEvent): StreamEvent[]
  /** Stops the block that is open. */
  end(): StreamEvent[]
}

export function blockWriter(): BlockWriter {
  let index = -1
  let open: StartedBlock['type'] | null = null
  let thinking = ''

  const delta = (piece: Anthropic.RawContentBlockDelta): StreamEvent => ({
    type: 'content_block_delta',
    index,
    delta: piece,
  })
  const end = (): StreamEvent[] => {
    if (open === null) return []
    const signed = open === 'thinking'
    open = null
    return [
      ...(signed ? [delta({ type: 'signature_delta', signature: signatureOf(thinking) })] : []),
      { type: 'content_block_stop', index },
    ]
  }
  const begin = (block: StartedBlock): StreamEvent[] => {
    const stopped = end()
    index += 1
    open = block.type
    thinking = ''
    return [...stopped, { type: 'content_block_start', index, content_block: block }]
  }

  return {
    write(event) {
      if (event.type === 'text') {
        const begun = open === 'text' ? [] : begin(textBlock(''))
        return [...begun, delta({ type: 'text_delta', text: event.text })]
      }
      if (event.type === 'reasoning') {
        const begun = open === 'thinking' ? [] : begin(thinkingBlock('', ''))
        thinking += event.text
        return [...begun, delta({ type: 'thinking_delta', thinking: event.text })]
      }
      if (event.type === 'tool_call') return begin(toolBlock(event.id, event.name, {}))
      if (event.type === 'tool_arguments') {
        return [delta({ type: 'input_json_delta', partial_json: event.text })]
      }
      return []
    },
    end,
  }
}

/** The blocks of a whole answer. A call that the token limit cut off is none: it is left out. */
export function contentOf({ reasoning, text, toolCalls }: Outcome) {
  return [
    ...(reasoning === '' ? [] : [thinkingBlock(reasoning, signatureOf(reasoning))]),
    ...(text === '' ? [] : [textBlock(text)]),
    ...toolCalls.flatMap(({ id, name, arguments: json }) => {
      const input = parseInput(json)
      return input === null ? [] : [toolBlock(id, name, input)]
    }),
  ] satisfies Anthropic.ContentBlock[]
}

function parseInput(json: string): object | null {
  if (json.trim() === '') return {}
  try {
    const input: unknown = JSON.parse(json)
    return typeof input === 'object' && input !== null && !Array.isArray(input) ? input : null
  } catch {
    return null
  }
}

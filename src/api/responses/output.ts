/**
 * The events of one answer → output items, and the dialect's events about them. One item is open
 * at a time: a new kind of part ends the one before.
 */
import { randomUUID } from 'node:crypto'
import type OpenAI from 'openai'
import { sealReasoning } from '../../chat/from-responses.ts'
import type { FinishReason, TextToken } from '../../pipeline/types.ts'
import type { AnswerEvent } from '../answer.ts'
import { toTokenLogprobs } from '../openai/logprobs.ts'
import type { OutputItem } from './response.ts'

/** Numbers are given when an event is sent. */
export type Unnumbered<Event> = Event extends unknown ? Omit<Event, 'sequence_number'> : never
type EndOfArguments = OpenAI.Responses.ResponseFunctionCallArgumentsDoneEvent

/** The specification also wants the call's name at the end of its arguments. */
export type ItemEvent =
  | Unnumbered<
      | OpenAI.Responses.ResponseOutputItemAddedEvent
      | OpenAI.Responses.ResponseOutputItemDoneEvent
      | OpenAI.Responses.ResponseContentPartAddedEvent
      | OpenAI.Responses.ResponseContentPartDoneEvent
      | OpenAI.Responses.ResponseTextDeltaEvent
      | OpenAI.Responses.ResponseTextDoneEvent
      | OpenAI.Responses.ResponseReasoningTextDeltaEvent
      | OpenAI.Responses.ResponseReasoningTextDoneEvent
      | OpenAI.Responses.ResponseFunctionCallArgumentsDeltaEvent
    >
  | (Unnumbered<EndOfArguments> & { readonly name: string })

export interface OutputOptions {
  /** The client asked for `reasoning.encrypted_content`. */
  readonly sealsReasoning: boolean
}

export interface Output {
  /** Finished items, in order. */
  readonly items: readonly OutputItem[]
  readonly finishReason: FinishReason | null
  /** What clients are told about this event; nothing for those that are not about the output. */
  take(event: AnswerEvent): readonly ItemEvent[]
}

type Status = 'in_progress' | 'completed' | 'incomplete'

interface OpenItem {
  readonly kind: 'text' | 'reasoning' | 'call'
  readonly begin: () => ItemEvent[]
  readonly piece: (text: string, tokens: readonly TextToken[]) => ItemEvent
  readonly end: (status: Status) => { readonly events: ItemEvent[]; readonly item: OutputItem }
}

export function openOutput(options: OutputOptions): Output {
  const items: OutputItem[] = []
  let open: OpenItem | null = null
  let finishReason: FinishReason | null = null
  const close = (status: Status): readonly ItemEvent[] => {
    if (open === null) return []
    const { events, item } = open.end(status)
    items.push(item)
    open = null
    return events
  }
  const start = (next: OpenItem): readonly ItemEvent[] => {
    const ended = close('completed')
    open = next
    return [...ended, ...next.begin()]
  }
  /** A closing item takes its index first, so the next index is asked for after that. */
  const nextIndex = () => items.length + (open === null ? 0 : 1)
  return {
    items,
    get finishReason() {
      return finishReason
    },
    take(event) {
      if (event.type === 'finish') {
        finishReason = event.finishReason
        return close(finishReason === 'length' ? 'incomplete' : 'completed')
      }
      if (event.type === 'tool_call') return start(callItem(nextIndex(), event))
      if (event.type === 'tool_arguments') return open ? [open.piece(event.text, [])] : []
      if (event.type !== 'text' && event.type !== 'reasoning') return []
      const isText = event.type === 'text'
      const begun =
        open?.kind === event.type
          ? []
          : start(isText ? textItem(nextIndex()) : reasoningItem(nextIndex(), options))
      const tokens = event.type === 'text' ? event.tokens : undefined
      return [...begun, ...(open ? [open.piece(event.text, tokens ?? [])] : [])]
    },
  }
}

const newId = (prefix: string) => `${prefix}_${randomUUID().replaceAll('-', '')}`

function textItem(outputIndex: number): OpenItem {
  const id = newId('msg')
  const place = { item_id: id, output_index: outputIndex, content_index: 0 }
  let whole = ''
  /** Empty where the client wants none; the specification has no other word for that. */
  const logprobs: OpenAI.Responses.ResponseOutputText.Logprob[] = []
  const item = (
    status: Status,
    content: OpenAI.Responses.ResponseOutputText[],
  ): OpenAI.Responses.ResponseOutputMessage => ({
    id,
    type: 'message',
    role: 'assistant',
    status,
    content,
  })
  const part = (): OpenAI.Responses.ResponseOutputText => ({
    type: 'output_text',
    text: whole,
    annotations: [],
    logprobs: [...logprobs],
  })
  return {
    kind: 'text',
    begin: () => [
      added(outputIndex, item('in_progress', [])),
      { type: 'response.content_part.added', ...place, part: part() },
    ],
    piece: (text, tokens) => {
      whole += text
      const own = toTokenLogprobs(tokens)
      logprobs.push(...own)
      return { type: 'response.output_text.delta', ...place, delta: text, logprobs: own }
    },
    end: (status) => {
      const done = item(status, [part()])
      return {
        item: done,
        events: [
          { type: 'response.output_text.done', ...place, text: whole, logprobs: [...logprobs] },
          { type: 'response.content_part.done', ...place, part: part() },
          ended(outputIndex, done),
        ],
      }
    },
  }
}

function reasoningItem(outputIndex: number, { sealsReasoning }: OutputOptions): OpenItem {
  const id = newId('rs')
  const place = { item_id: id, output_index: outputIndex, content_index: 0 }
  let whole = ''
  const part = () => ({ type: 'reasoning_text' as const, text: whole })
  const item = (status: Status): OpenAI.Responses.ResponseReasoningItem => ({
    id,
    type: 'reasoning',
    status,
    summary: [],
    content: status === 'in_progress' ? [] : [part()],
    ...(sealsReasoning && status !== 'in_progress'
      ? { encrypted_content: sealReasoning(whole) }
      : { encrypted_content: null }),
  })
  return {
    kind: 'reasoning',
    begin: () => [
      added(outputIndex, item('in_progress')),
      { type: 'response.content_part.added', ...place, part: part() },
    ],
    piece: (text) => {
      whole += text
      return { type: 'response.reasoning_text.delta', ...place, delta: text }
    },
    end: (status) => {
      const done = item(status)
      return {
        item: done,
        events: [
          { type: 'response.reasoning_text.done', ...place, text: whole },
          { type: 'response.content_part.done', ...place, part: part() },
          ended(outputIndex, done),
        ],
      }
    },
  }
}

function callItem(
  outputIndex: number,
  { id: callId, name }: Extract<AnswerEvent, { type: 'tool_call' }>,
): OpenItem {
  const id = newId('fc')
  const place = { item_id: id, output_index: outputIndex }
  let whole = ''
  const item = (status: Status): OpenAI.Responses.ResponseFunctionToolCallItem => ({
    id,
    type: 'function_call',
    status,
    call_id: callId,
    name,
    arguments: whole,
  })
  return {
    kind: 'call',
    begin: () => [added(outputIndex, item('in_progress'))],
    piece: (text) => {
      whole += text
      return { type: 'response.function_call_arguments.delta', ...place, delta: text }
    },
    end: (status) => {
      const done = item(status)
      return {
        item: done,
        events: [
          {
            type: 'response.function_call_arguments.done',
            ...place,
            name,
            arguments: whole,
          },
          ended(outputIndex, done),
        ],
      }
    },
  }
}

const added = (outputIndex: number, item: OutputItem): ItemEvent => ({
  type: 'response.output_item.added',
  output_index: outputIndex,
  item,
})

const ended = (outputIndex: number, item: OutputItem): ItemEvent => ({
  type: 'response.output_item.done',
  output_index: outputIndex,
  item,
})

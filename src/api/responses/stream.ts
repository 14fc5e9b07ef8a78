/** The order of events: created, in progress, each item from begin to end, then one last word. */
import type OpenAI from 'openai'
import { PrefixdError } from '../../errors.ts'
import type { Receipt } from '../../pipeline/types.ts'
import type { Answer } from '../answer.ts'
import type { ErrorReply } from '../errors.ts'
import { commentFrame, eventFrame } from '../sse.ts'
import type { ItemEvent, Output, Unnumbered } from './output.ts'
import { type ResponseHead, type ResponseJson, toResponse } from './response.ts'

/** With the response as it goes over the wire. */
type AboutResponse<Event> = Event extends { readonly response: unknown }
  ? Unnumbered<Omit<Event, 'response'>> & { readonly response: ResponseJson }
  : never
type StreamEvent =
  | ItemEvent
  | AboutResponse<
      | OpenAI.Responses.ResponseCreatedEvent
      | OpenAI.Responses.ResponseInProgressEvent
      | OpenAI.Responses.ResponseCompletedEvent
      | OpenAI.Responses.ResponseIncompleteEvent
      | OpenAI.Responses.ResponseFailedEvent
    >
  | Unnumbered<OpenAI.Responses.ResponseErrorEvent>

export interface ResponseStream {
  readonly frames: AsyncGenerator<string>
  pingFrame(): string
  /** `response.failed` once the response was created; a bare `error` before that. */
  errorFrame(error: ErrorReply): string
}

export function responseStream(
  head: ResponseHead,
  answer: Promise<Answer>,
  output: Output,
): ResponseStream {
  let sequenceNumber = 0
  let progress = 'ping'
  const frame = (event: StreamEvent) => {
    const numbered = eventFrame({ ...event, sequence_number: sequenceNumber })
    sequenceNumber += 1
    return numbered
  }
  const begun = toResponse(head, { status: 'in_progress', output: [] })
  const created = () => frame({ type: 'response.created', response: begun })
  const inProgress = () => frame({ type: 'response.in_progress', response: begun })

  async function* frames(): AsyncGenerator<string> {
    const { events } = await answer
    try {
      // A ping may have said so while the request waited in the queue.
      if (sequenceNumber === 0) yield created()
      yield inProgress()
      let receipt: Receipt | null = null
      for await (const event of events) {
        if (event.type === 'prefill') {
          progress = `prefill ${event.processedTokens}/${event.totalTokens}`
        }
        for (const each of output.take(event)) yield frame(each)
        if (event.type === 'receipt') receipt = event.receipt
      }
      const response = endOf(head, output, receipt)
      const isCut = response.status === 'incomplete'
      yield frame({ type: isCut ? 'response.incomplete' : 'response.completed', response })
    } finally {
      await events.return(undefined)
    }
  }
  return {
    frames: frames(),
    // Codex hears no comments: after 5 minutes without an event it would ask again.
    pingFrame: () => commentFrame(progress) + (sequenceNumber === 0 ? created() : inProgress()),
    errorFrame: ({ body: { error } }) => {
      if (sequenceNumber === 0) {
        const { code, message, param } = error
        return frame({ type: 'error', code, message, param })
      }
      const { items } = output
      const response = toResponse(head, { status: 'failed', output: items, error: error.message })
      return frame({ type: 'response.failed', response })
    },
  }
}

export async function wholeResponse(
  head: ResponseHead,
  answer: Answer,
  output: Output,
): Promise<{ readonly response: ResponseJson; readonly receipt: Receipt }> {
  for await (const event of answer.events) {
    output.take(event)
    if (event.type === 'receipt') {
      return { response: endOf(head, output, event.receipt), receipt: event.receipt }
    }
  }
  throw withoutReceipt()
}

function endOf(head: ResponseHead, output: Output, receipt: Receipt | null): ResponseJson {
  if (receipt === null) throw withoutReceipt()
  const isCut = output.finishReason === 'length'
  return toResponse(head, {
    status: isCut ? 'incomplete' : 'completed',
    output: output.items,
    receipt,
    ...(isCut ? {} : { completedAtMs: Date.now() }),
  })
}

const withoutReceipt = (): PrefixdError =>
  new PrefixdError('PREFIXD_E_INTERNAL', 'The pipeline ended without a receipt.')

/** Runs one or several prompts and delivers their answers, whole or as a stream of chunks. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { PrefixdError } from '../../errors.ts'
import type { FinishReason, GenerateEvent, GenerateRequest, Receipt } from '../../pipeline/types.ts'
import {
  type Answer,
  type AnswerEvent,
  type Choice,
  collectChoices,
  openAnswer,
} from '../answer.ts'
import type { ApiContext } from '../context.ts'
import type { ErrorReply } from '../errors.ts'
import { confirmedHeaders } from '../plan-headers.ts'
import { commentFrame, dataFrame, doneFrame } from '../sse.ts'
import { streamReply } from '../stream-reply.ts'
import { sumReceipts } from './usage.ts'

type EventOf<Type extends GenerateEvent['type']> = Extract<GenerateEvent, { type: Type }>

/** What one dialect calls things. `index` is the choice. */
export interface Wording {
  /** The whole reply: the choices of every request, one after the other. */
  whole(choices: readonly Choice[], receipt: Receipt): object
  /** Sent before any text; null where the dialect has none. */
  opening(index: number): object | null
  text(index: number, piece: EventOf<'text'>): object
  /** Absent where the dialect's answers are text alone. */
  reasoning?(index: number, text: string): object
  toolCall?(index: number, call: EventOf<'tool_call'>): object
  toolArguments?(index: number, piece: EventOf<'tool_arguments'>): object
  finish(index: number, reason: FinishReason): object
  usage(receipt: Receipt): object
}

export interface Delivery {
  /** Answered one after the other, since they would wait for the same worker anyway. */
  readonly requests: readonly GenerateRequest[]
  readonly stream: boolean
  readonly includeUsage: boolean
  readonly wording: Wording
}

export async function deliver(
  context: ApiContext,
  delivery: Delivery,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const controller = context.answers.follow(reply.raw)
  return delivery.stream
    ? deliverStream(context, delivery, request, reply, controller)
    : deliverWhole(context, delivery, reply, controller.signal)
}

async function deliverWhole(
  { service }: ApiContext,
  { requests, wording }: Delivery,
  reply: FastifyReply,
  signal: AbortSignal,
): Promise<FastifyReply> {
  const choices: Choice[] = []
  const receipts: Receipt[] = []
  for (const each of requests) {
    const outcome = await collectChoices(await openAnswer(service, each, signal))
    choices.push(...outcome.choices)
    receipts.push(outcome.receipt)
  }
  const receipt = sumReceipts(receipts)
  return reply.headers(confirmedHeaders(receipt)).send(wording.whole(choices, receipt))
}

async function deliverStream(
  context: ApiContext,
  delivery: Delivery,
  request: FastifyRequest,
  reply: FastifyReply,
  controller: AbortController,
): Promise<FastifyReply> {
  const open = (each: GenerateRequest) => openAnswer(context.service, each, controller.signal)
  const [firstRequest, ...laterRequests] = delivery.requests
  if (firstRequest === undefined) throw new RangeError('a delivery needs at least one request')
  const first = open(firstRequest)
  const progress = { text: 'ping' }
  const answers = (async function* () {
    yield await first
    for (const each of laterRequests) yield await open(each)
  })()
  const stream = {
    first,
    frames: frames(delivery, answers, progress, request),
    pingFrame: () => commentFrame(progress.text),
    errorFrame: ({ body }: ErrorReply) => dataFrame(body),
  }
  return streamReply(context, stream, request, reply, controller)
}

async function* frames(
  { requests, includeUsage, wording }: Delivery,
  answers: AsyncIterable<Answer>,
  progress: { text: string },
  request: FastifyRequest,
): AsyncGenerator<string> {
  const receipts: Receipt[] = []
  let index = 0
  let requestIndex = 0
  for await (const answer of answers) {
    const opening = wording.opening(index)
    if (opening) yield dataFrame(opening)
    let openChoices = requests[requestIndex]?.choices ?? 1
    try {
      for (;;) {
        const { done, value: event } = await answer.events.next()
        if (done) break
        if (event.type === 'prefill') {
          progress.text = `prefill ${event.processedTokens}/${event.totalTokens}`
        }
        if (event.type === 'choice') index += 1
        const chunk = chunkOf(wording, index, event)
        if (chunk) yield dataFrame(chunk)
        if (event.type === 'receipt') receipts.push(event.receipt)
        if (event.type === 'finish') openChoices -= 1
        if (openChoices === 0 && !includeUsage) break
      }
    } finally {
      // Nobody waits for the receipt: the saves are confirmed while the client goes on.
      if (openChoices === 0 && !includeUsage) void runToEnd(answer, request)
      else await answer.events.return(undefined)
    }
    index += 1
    requestIndex += 1
  }
  if (includeUsage && receipts.length < requests.length) {
    throw new PrefixdError('PREFIXD_E_INTERNAL', 'The pipeline ended without a receipt.')
  }
  if (includeUsage) yield dataFrame(wording.usage(sumReceipts(receipts)))
  yield doneFrame
}

function chunkOf(wording: Wording, index: number, event: AnswerEvent): object | null | undefined {
  if (event.type === 'choice') return wording.opening(index)
  if (event.type === 'text') return wording.text(index, event)
  if (event.type === 'reasoning') return wording.reasoning?.(index, event.text)
  if (event.type === 'tool_call') return wording.toolCall?.(index, event)
  if (event.type === 'tool_arguments') return wording.toolArguments?.(index, event)
  return event.type === 'finish' ? wording.finish(index, event.finishReason) : null
}

async function runToEnd(answer: Answer, request: FastifyRequest): Promise<void> {
  try {
    while (!(await answer.events.next()).done);
  } catch (error) {
    request.log.warn({ err: error }, 'the answer was complete, but its end failed')
  }
}

/** Runs one or several prompts and delivers their answers, whole or as a stream of chunks. */
import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { PrefixdError } from '../../errors.ts'
import type { FinishReason, GenerateEvent, GenerateRequest, Receipt } from '../../pipeline/types.ts'
import {
  type Answer,
  type AnswerEvent,
  collectAnswer,
  type Outcome,
  openAnswer,
} from '../answer.ts'
import type { ApiContext } from '../context.ts'
import { ClientGone, toErrorReply } from '../errors.ts'
import { confirmedHeaders, plannedHeaders } from '../plan-headers.ts'
import { dataFrame, doneFrame, sseStream } from '../sse.ts'
import { sumReceipts } from './usage.ts'

type EventOf<Type extends GenerateEvent['type']> = Extract<GenerateEvent, { type: Type }>

/** What one dialect calls things. `index` is the choice. */
export interface Wording {
  /** The whole reply, one outcome per request. */
  whole(outcomes: readonly Outcome[], receipt: Receipt): object
  /** Sent before any text; null where the dialect has none. */
  opening(index: number): object | null
  text(index: number, text: string): object
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
  const outcomes: Outcome[] = []
  for (const each of requests) {
    outcomes.push(await collectAnswer(await openAnswer(service, each, signal)))
  }
  const receipt = sumReceipts(outcomes.map((outcome) => outcome.receipt))
  return reply.headers(confirmedHeaders(receipt)).send(wording.whole(outcomes, receipt))
}

async function deliverStream(
  { service, limits }: ApiContext,
  delivery: Delivery,
  request: FastifyRequest,
  reply: FastifyReply,
  controller: AbortController,
): Promise<FastifyReply> {
  const { signal } = controller
  const open = (each: GenerateRequest) => openAnswer(service, each, signal)
  const [firstRequest, ...laterRequests] = delivery.requests
  if (firstRequest === undefined) throw new RangeError('a delivery needs at least one request')
  const first = open(firstRequest)
  // The stream reads it; but a client may be gone before its stream begins.
  first.catch(() => {})
  // In a long queue the headers go out before the plan is known; otherwise proxies give up.
  const opened = await firstWithin(first, limits.pingMs)
  if (opened) reply.headers(plannedHeaders(opened.planned))

  const progress = { text: 'ping' }
  const answers = (async function* () {
    yield await first
    for (const each of laterRequests) yield await open(each)
  })()
  const body = sseStream(frames(delivery, answers, progress, request), {
    pingMs: limits.pingMs,
    bufferBytes: limits.sseBufferBytes,
    stallMs: limits.sseStallMs,
    pingText: () => progress.text,
    errorFrame: (error) => lastFrame(error, request),
    onStall: () => controller.abort(new ClientGone('The client stopped reading.')),
  })
  signal.addEventListener('abort', () => {
    // Without a reader the stream would keep its buffer, and the socket, for ever.
    if (signal.reason instanceof ClientGone) reply.raw.destroy()
  })
  return reply.type('text/event-stream').header('cache-control', 'no-cache').send(body)
}

async function* frames(
  { requests, includeUsage, wording }: Delivery,
  answers: AsyncIterable<Answer>,
  progress: { text: string },
  request: FastifyRequest,
): AsyncGenerator<string> {
  const receipts: Receipt[] = []
  let index = 0
  for await (const answer of answers) {
    const opening = wording.opening(index)
    if (opening) yield dataFrame(opening)
    let finished = false
    try {
      for (;;) {
        const { done, value: event } = await answer.events.next()
        if (done) break
        if (event.type === 'prefill') {
          progress.text = `prefill ${event.processedTokens}/${event.totalTokens}`
        }
        const chunk = chunkOf(wording, index, event)
        if (chunk) yield dataFrame(chunk)
        if (event.type === 'receipt') receipts.push(event.receipt)
        finished ||= event.type === 'finish'
        if (finished && !includeUsage) break
      }
    } finally {
      // Nobody waits for the receipt: the saves are confirmed while the client goes on.
      if (finished && !includeUsage) void runToEnd(answer, request)
      else await answer.events.return(undefined)
    }
    index += 1
  }
  if (includeUsage && receipts.length < requests.length) {
    throw new PrefixdError('PREFIXD_E_INTERNAL', 'The pipeline ended without a receipt.')
  }
  if (includeUsage) yield dataFrame(wording.usage(sumReceipts(receipts)))
  yield doneFrame
}

function chunkOf(wording: Wording, index: number, event: AnswerEvent): object | null | undefined {
  if (event.type === 'text') return wording.text(index, event.text)
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

/** The headers have left, so the error goes where the next chunk would have gone. */
function lastFrame(error: unknown, request: FastifyRequest): string | null {
  if (error instanceof ClientGone) {
    request.log.info({ statusCode: 499 }, error.message)
    return null
  }
  request.log.error({ err: error }, 'the answer failed after its first byte')
  return dataFrame(toErrorReply(error, request.id).body)
}

/** Null when it takes longer; a failure within the time is thrown, a later one is read later. */
async function firstWithin<T>(promise: Promise<T>, ms: number): Promise<T | null> {
  const timer = new AbortController()
  try {
    return await Promise.race([promise, delay(ms, null, { signal: timer.signal })])
  } finally {
    timer.abort()
  }
}

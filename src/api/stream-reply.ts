/** Sends an answer as server-sent events: what is the same in every dialect. */
import { setTimeout as delay } from 'node:timers/promises'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Answer } from './answer.ts'
import type { ApiContext } from './context.ts'
import { ClientGone, type ErrorReply, toErrorReply } from './errors.ts'
import { plannedHeaders } from './plan-headers.ts'
import { sseStream } from './sse.ts'

export interface StreamReply {
  /** Its plan is in the headers, and its early failure is a plain HTTP error. */
  readonly first: Promise<Answer>
  readonly frames: AsyncGenerator<string>
  readonly pingFrame: () => string
  /** An error after the first byte: it goes where the next frame would have gone. */
  readonly errorFrame: (error: ErrorReply) => string
}

export async function streamReply(
  { limits }: ApiContext,
  { first, frames, pingFrame, errorFrame }: StreamReply,
  request: FastifyRequest,
  reply: FastifyReply,
  controller: AbortController,
): Promise<FastifyReply> {
  const { signal } = controller
  // The stream reads it; but a client may be gone before its stream begins.
  first.catch(() => {})
  // In a long queue the headers go out before the plan is known; otherwise proxies give up.
  const opened = await firstWithin(first, limits.pingMs)
  if (opened) reply.headers(plannedHeaders(opened.planned))
  const body = sseStream(frames, {
    pingMs: limits.pingMs,
    bufferBytes: limits.sseBufferBytes,
    stallMs: limits.sseStallMs,
    pingFrame,
    errorFrame: (error) => {
      if (error instanceof ClientGone) {
        request.log.info({ statusCode: 499 }, error.message)
        return null
      }
      request.log.error({ err: error }, 'the answer failed after its first byte')
      return errorFrame(toErrorReply(error, request.id))
    },
    onStall: () => controller.abort(new ClientGone('The client stopped reading.')),
  })
  signal.addEventListener('abort', () => {
    // Without a reader the stream would keep its buffer, and the socket, for ever.
    if (signal.reason instanceof ClientGone) reply.raw.destroy()
  })
  return reply.type('text/event-stream').header('cache-control', 'no-cache').send(body)
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

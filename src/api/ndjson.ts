/** An answer of JSON objects, one on each line. A failure after the first is a line of its own. */
import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { ClientGone, toErrorReply } from './errors.ts'
import type { StreamErrorJson } from './native/upkeep-schema.ts'

/** The events are read only as fast as the client takes their lines. */
export function ndjsonReply(
  events: AsyncIterable<object>,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const stream = Readable.from(lines(events, request), { objectMode: false })
  return reply.type('application/x-ndjson').header('cache-control', 'no-cache').send(stream)
}

async function* lines(
  events: AsyncIterable<object>,
  request: FastifyRequest,
): AsyncGenerator<string> {
  try {
    for await (const event of events) yield `${JSON.stringify(event)}\n`
  } catch (error) {
    if (error instanceof ClientGone) return
    request.log.error({ err: error }, 'the answer failed after its first byte')
    const { body, headers } = toErrorReply(error, request.id)
    const code = headers['x-prefixd-error'] ?? 'PREFIXD_E_INTERNAL'
    const line: StreamErrorJson = { type: 'error', code, message: body.error.message }
    yield `${JSON.stringify(line)}\n`
  }
}

/** `POST /v1/cache/verify`: what is found as it is found, a JSON object on each line. */
import type { VerifyEvent } from '../../../cache/types.ts'
import type { ApiContext, Server } from '../context.ts'
import { ndjsonReply } from '../ndjson.ts'
import { type VerifyEventJson, VerifyRequestSchema } from './upkeep-schema.ts'

export function verifyRoutes(server: Server, context: ApiContext): void {
  server.post(
    '/v1/cache/verify',
    { schema: { body: VerifyRequestSchema } },
    async (request, reply) => {
      const { signal } = context.answers.follow(reply.raw)
      const repair = request.body?.repair === true
      const events = shown(context.service.cache.verify(repair, signal))
      return ndjsonReply(events, request, reply)
    },
  )
}

async function* shown(events: AsyncIterable<VerifyEvent>): AsyncGenerator<VerifyEventJson> {
  for await (const event of events) yield toVerifyEvent(event)
}

export function toVerifyEvent(event: VerifyEvent): VerifyEventJson {
  if (event.type === 'progress') {
    const { records, totalRecords, sizeBytes } = event
    return { type: 'progress', records, total_records: totalRecords, size_bytes: sizeBytes }
  }
  if (event.type === 'finding') {
    const { kind, hash, record, what, mended } = event.finding
    return { type: 'finding', kind, block: hash, record, what, mended }
  }
  const { records, sizeBytes, findings, corrupt, removedRecords } = event.report
  return {
    type: 'done',
    records,
    size_bytes: sizeBytes,
    findings,
    corrupt,
    removed_records: removedRecords,
  }
}

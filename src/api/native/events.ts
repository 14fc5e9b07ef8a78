/** `GET /v1/cache/events`: what comes into the tiers and leaves them, as it happens. */
import type { CacheEvent } from '../../pipeline/types.ts'
import type { ApiContext, Server } from '../context.ts'
import { ClientGone } from '../errors.ts'
import { commentFrame, eventFrame, sseStream } from '../sse.ts'
import type { CacheEventJson } from './events-schema.ts'

export function eventRoutes(server: Server, { service, limits, answers }: ApiContext): void {
  const closing = new AbortController()
  // It ends by itself never, and what is being answered may take its time meanwhile.
  server.addHook('preClose', async () => closing.abort())
  server.get('/v1/cache/events', async (request, reply) => {
    const controller = answers.follow(reply.raw)
    const signal = AbortSignal.any([controller.signal, closing.signal])
    const body = sseStream(frames(service.followCache(signal)), {
      pingMs: limits.pingMs,
      bufferBytes: limits.sseBufferBytes,
      stallMs: limits.sseStallMs,
      pingFrame: () => commentFrame('ping'),
      errorFrame: (error) => {
        request.log.error({ err: error }, 'the events ended with an error')
        return null
      },
      onStall: () => {
        controller.abort(new ClientGone('The client stopped reading.'))
        reply.raw.destroy()
      },
    })
    return reply.type('text/event-stream').header('cache-control', 'no-cache').send(body)
  })
}

async function* frames(events: AsyncIterable<CacheEvent>): AsyncGenerator<string> {
  // The head of the answer goes out with its first bytes, and the first event may take hours.
  yield commentFrame('following')
  for await (const event of events) yield eventFrame(toCacheEvent(event))
}

export function toCacheEvent(event: CacheEvent): CacheEventJson {
  const { type, atMs } = event
  if (type === 'AllBlocksCleared') return { type, at_ms: atMs }
  if (type === 'EventsMissed') return { type, at_ms: atMs, count: event.count }
  const { medium, kind, model, blockHashes } = event
  const moved = { at_ms: atMs, medium, kind, model, block_hashes: [...blockHashes] }
  if (type === 'BlockRemoved') return { type, ...moved }
  const { parentBlockHash, tokenCount } = event
  return { type, ...moved, parent_block_hash: parentBlockHash, token_count: tokenCount }
}

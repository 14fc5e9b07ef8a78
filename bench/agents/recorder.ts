/**
 * Stands between an agent and the service and lets every byte through, in both directions, as it
 * comes: so what the agent asked and what the service reported are known from one place, whatever
 * the agent says of itself.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline } from 'node:stream/promises'
import type { Scratch } from '../scratch-folder.ts'

/** One request and its reply, as text. */
export interface Recording {
  readonly path: string
  readonly requestBody: string
  readonly status: number
  readonly replyBody: string
  /** False: the agent left before the reply's end, or the service cut it. */
  readonly isWhole: boolean
}

export interface Recorder {
  /** Without a path; what the agent is given as the service's address. */
  readonly url: string
  /**
   * Takes out what was recorded since the last call, in the order of the replies' ends. Waits for
   * those that are under way: an agent that has ended has left them, and that is their end.
   */
  take(): Promise<Recording[]>
}

/** Of one reply; an answer of a thousand tokens has about 300 kB of events. */
const keptReplyBytes = 16 * 1024 * 1024

export async function startRecorder(
  upstream: string,
  scratch: Scratch,
  onRequest: (path: string) => void = () => {},
): Promise<Recorder> {
  const recorded: Recording[] = []
  const underWay = new Set<Promise<void>>()
  const server = createServer((incoming, outgoing) => {
    onRequest(incoming.url ?? '/')
    const passing: Promise<void> = passOn(upstream, incoming, outgoing)
      .then((recording) => void recorded.push(recording))
      // The agent was gone before its request had arrived: nobody is there to be told.
      .catch(() => void outgoing.destroy())
      .finally(() => underWay.delete(passing))
    underWay.add(passing)
  })
  server.requestTimeout = 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  scratch.own(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    take: async () => {
      await Promise.all(underWay)
      return recorded.splice(0)
    },
  }
}

async function passOn(
  upstream: string,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): Promise<Recording> {
  const requestBody = Buffer.concat(await incoming.toArray()).toString()
  const path = incoming.url ?? '/'
  const { host: _, connection: __, ...headers } = incoming.headers
  const onward = request(`${upstream}${path}`, { method: incoming.method ?? 'GET', headers })
  // An agent that leaves must be seen to leave by the service.
  outgoing.once('close', () => onward.destroy())
  const kept: Buffer[] = []
  let status = 0
  let isWhole = false
  try {
    onward.end(requestBody)
    const [reply] = (await once(onward, 'response')) as [IncomingMessage]
    status = reply.statusCode ?? 0
    outgoing.writeHead(status, reply.headers)
    outgoing.flushHeaders()
    await pipeline(reply, tapInto(kept), outgoing)
    isWhole = true
  } catch {
    // Cut on one side or the other; whoever is left must learn of it too.
    outgoing.destroy()
  }
  return { path, requestBody, status, replyBody: Buffer.concat(kept).toString(), isWhole }
}

const tapInto = (kept: Buffer[]) =>
  async function* (source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    let keptBytes = 0
    for await (const chunk of source) {
      if (keptBytes < keptReplyBytes) kept.push(chunk)
      keptBytes += chunk.length
      yield chunk
    }
  }

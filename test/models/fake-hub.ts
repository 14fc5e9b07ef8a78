import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type Handler = (request: IncomingMessage, response: ServerResponse) => void

export interface FakeHub {
  readonly url: string
  /** Every request that came, in order. */
  readonly requests: IncomingMessage[]
  /** Answers the next requests, one each; later ones get the file. */
  readonly script: Handler[]
  file: Buffer
  etag: string
  /** `x-linked-etag`; null: not declared. */
  declaredSha256: string | null
  /** Breaks every connection. */
  cut(): void
  close(): Promise<void>
}

export const sha256 = (bytes: Uint8Array): string =>
  createHash('sha256').update(bytes).digest('hex')

/** Bytes that begin like a model and go on without any pattern. */
export function modelBytes(sizeBytes: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(sizeBytes)
  let state = seed
  for (let index = 0; index < sizeBytes; index += 1) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    bytes[index] = state >>> 24
  }
  bytes.write('GGUF', 0, 'latin1')
  bytes.writeUInt32LE(3, 4)
  bytes.writeBigUInt64LE(2n, 8)
  bytes.writeBigUInt64LE(1n, 16)
  return bytes
}

/** A hub on loopback with one file at every address; it honours Range and If-Range. */
export async function startFakeHub(file: Buffer): Promise<FakeHub> {
  const server = createServer((request, response) => {
    hub.requests.push(request)
    const scripted = hub.script.shift()
    if (scripted === undefined) sendFile(hub, request, response)
    else scripted(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const hub: FakeHub = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: [],
    script: [],
    file,
    etag: '"v1"',
    declaredSha256: sha256(file),
    cut: () => server.closeAllConnections(),
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return hub
}

/** What is sent of one file. */
export type SentFile = Pick<FakeHub, 'file' | 'etag' | 'declaredSha256'>

export function headersOf(hub: SentFile): Record<string, string> {
  const declared = hub.declaredSha256
  return { etag: hub.etag, ...(declared === null ? {} : { 'x-linked-etag': `"${declared}"` }) }
}

export function sendFile(hub: SentFile, request: IncomingMessage, response: ServerResponse): void {
  const { file } = hub
  const wanted = /^bytes=(\d+)-$/.exec(request.headers.range ?? '')
  const ifRange = request.headers['if-range']
  const fromByte = Number(wanted?.[1] ?? 0)
  if (wanted === null || (ifRange !== undefined && ifRange !== hub.etag)) {
    response.writeHead(200, { ...headersOf(hub), 'content-length': file.length }).end(file)
  } else if (fromByte >= file.length) {
    response.writeHead(416, { ...headersOf(hub), 'content-range': `bytes */${file.length}` }).end()
  } else {
    const range = `bytes ${fromByte}-${file.length - 1}/${file.length}`
    response
      .writeHead(206, {
        ...headersOf(hub),
        'content-range': range,
        'content-length': file.length - fromByte,
      })
      .end(file.subarray(fromByte))
  }
}

/** Announces the whole file, sends this many bytes of it, and then nothing. */
export const sendPart =
  (hub: FakeHub, sizeBytes: number): Handler =>
  (_request, response) => {
    response.writeHead(200, { ...headersOf(hub), 'content-length': hub.file.length })
    response.write(hub.file.subarray(0, sizeBytes))
  }

export const answer =
  (status: number, headers: Record<string, string> = {}): Handler =>
  (_request, response) => {
    response.writeHead(status, headers).end('no')
  }

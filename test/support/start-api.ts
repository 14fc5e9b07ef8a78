/** The API on a real socket, for what `inject` cannot show: disconnects and order in time. */
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'
import type { Server } from '../../src/api/context.ts'
import { createServer, type ServerOptions } from '../../src/api/server.ts'
import type { Service } from '../../src/pipeline/types.ts'

export interface StartedApi {
  readonly server: Server
  readonly url: string
  readonly port: number
}

/** Closed when the test ends, open answers included. */
export async function startApi(service: Service, options: ServerOptions = {}): Promise<StartedApi> {
  const server = createServer(service, {
    ...options,
    limits: { drainMs: 0, ...options.limits },
  })
  await server.listen({ host: '127.0.0.1', port: 0 })
  onTestFinished(() => server.close())
  const { port } = server.server.address() as AddressInfo
  return { server, url: `http://127.0.0.1:${port}`, port }
}

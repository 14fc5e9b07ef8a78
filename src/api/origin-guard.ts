/**
 * Which web pages may speak to this server. A browser lets any page send requests to localhost;
 * these rules keep foreign pages from reading replies (CORS) and from posing as local through a DNS
 * name that they re-point to 127.0.0.1 (the `Host` check).
 */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { isLoopback } from '../config/loopback.ts'
import { PrefixdError } from '../errors.ts'

/** Browsers keep every name under `.localhost` on this machine. */
const isLocal = (hostname: string) => isLoopback(hostname) || hostname.endsWith('.localhost')

/** Null when it is not a host with an optional port. */
function hostnameOf(host: string): string | null {
  if (!/^[\w.:[\]-]+$/.test(host)) return null
  return URL.parse(`http://${host}`)?.hostname ?? null
}

const bare = (address: string) => address.replace(/^\[|\]$/g, '').replace(/^::ffff:/, '')

/**
 * Throws `PREFIXD_E_FORBIDDEN_HOST` unless `Host` names loopback, the configured host, or the very
 * address that the connection came in on: an address in the URL cannot be re-pointed, a name can.
 */
export function checkHost(request: FastifyRequest, configuredHost: string): void {
  const hostname = hostnameOf(request.headers.host ?? '')
  if (hostname !== null) {
    if (isLocal(hostname) || bare(hostname) === configuredHost.toLowerCase()) return
    const localAddress = request.socket.localAddress
    if (localAddress !== undefined && bare(hostname) === bare(localAddress)) return
  }
  throw new PrefixdError(
    'PREFIXD_E_FORBIDDEN_HOST',
    'This route answers only under a loopback name or the host that the server was started with.',
    { field: 'host', next: 'Use http://127.0.0.1, or start the server with --host and that name.' },
  )
}

/** Adds CORS headers for pages that were themselves served from this machine. */
export function allowLocalOrigins(request: FastifyRequest, reply: FastifyReply): void {
  const { origin } = request.headers
  if (origin === undefined) return
  reply.header('vary', 'origin')
  const hostname = URL.parse(origin)?.hostname
  if (hostname === undefined || !isLocal(hostname)) return
  reply.header('access-control-allow-origin', origin)
  reply.header(
    'access-control-expose-headers',
    'x-request-id, request-id, cache-status, server-timing, retry-after, retry-after-ms, ' +
      'x-should-retry, x-prefixd-error, x-prefixd-next',
  )
  if (request.method !== 'OPTIONS') return
  reply.header('access-control-allow-methods', 'GET, POST, OPTIONS')
  const wanted = request.headers['access-control-request-headers']
  if (wanted !== undefined) reply.header('access-control-allow-headers', wanted)
  reply.header('access-control-max-age', '600')
}

/** The flags that every command of a running service shares, and the client behind them. */
import { type Client, createClient } from './client.ts'
import type { CliContext } from './context.ts'
import { usageError } from './failure.ts'

export interface ClientFlags {
  readonly url?: URL
  readonly json?: boolean
}

export const clientFlags = {
  url: {
    kind: 'parsed',
    parse: parseUrl,
    optional: true,
    placeholder: 'url',
    brief: 'Address of the service (PREFIXD_URL, then host and port of the configuration)',
  },
  json: { kind: 'boolean', optional: true, brief: "Print the service's JSON", withNegated: false },
} as const

/** A client for the address that was named: flag, then PREFIXD_URL, then the configuration. */
export async function connect(
  context: CliContext,
  flags: ClientFlags,
  signal?: AbortSignal,
): Promise<Client> {
  const url = flags.url ?? (await defaultUrl(context))
  const apiKey = keyFor(context)
  const { fetch } = context
  return createClient({ url, apiKey, fetch, ...(signal === undefined ? {} : { signal }) })
}

/** From the environment only: arguments of a command are there for every user to see. */
function keyFor({ around }: CliContext): string | null {
  const apiKey = around.env.PREFIXD_API_KEY
  if (apiKey === undefined || apiKey === '') return null
  if (/^[\x21-\x7e]+$/.test(apiKey)) return apiKey
  throw usageError(
    'PREFIXD_API_KEY has a character that no key can have',
    'set it to an admin key of the service, without spaces or quotes around it',
  )
}

async function defaultUrl(context: CliContext): Promise<URL> {
  const named = context.around.env.PREFIXD_URL
  if (named === undefined || named === '') return configuredUrl(context)
  try {
    return parseUrl(named)
  } catch (error) {
    throw usageError(
      `PREFIXD_URL cannot be "${named}": ${(error as Error).message}`,
      'set it to e.g. http://127.0.0.1:8787, or use --url',
    )
  }
}

async function configuredUrl(context: CliContext): Promise<URL> {
  const { loadConfig } = await import('../config/load.ts')
  const { host, port } = loadConfig({ around: context.around }).config
  return serviceUrl(host, port)
}

/** Where a service that listens on `host` is reached from this machine. */
export function serviceUrl(host: string, port: number): URL {
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
  return new URL(`http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`)
}

/** Also takes `host:port`, as people type it. */
export function parseUrl(text: string): URL {
  const whole = /^[a-z][a-z+.-]*:\/\//i.test(text) ? text : `http://${text}`
  const url = URL.canParse(whole) ? new URL(whole) : null
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new Error('it must be an http address, e.g. http://127.0.0.1:8787')
  }
  return url
}

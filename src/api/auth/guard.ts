/** Lets a request in, or not: who asks is known before any body is read. */
import type { FastifyRequest } from 'fastify'
import { limits } from '../../config/limits.ts'
import { PrefixdError } from '../../errors.ts'
import { type Caller, owner } from './caller.ts'
import type { KeyRing } from './key-ring.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Set before any handler runs. */
    caller: Caller
  }
  interface FastifyContextConfig {
    /** Answers without a key. */
    readonly isOpen?: boolean
  }
}

/** `Authorization: Bearer KEY` as OpenAI's clients send it, `x-api-key: KEY` as Anthropic's do. */
function keysOf({ headers }: FastifyRequest): readonly string[] {
  const bearer = /^bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1]
  const named = headers['x-api-key']
  return [bearer, typeof named === 'string' ? named : undefined].filter(
    (key) => key !== undefined && key !== '' && key.length <= limits.apiKeyLengthMax,
  ) as string[]
}

/** Null: no keys are in use. Throws `PREFIXD_E_API_KEY`. */
export function identify(request: FastifyRequest, ring: KeyRing | null): Caller {
  if (ring === null || request.routeOptions.config?.isOpen === true) return owner
  const keys = keysOf(request)
  for (const key of keys) {
    const caller = ring.identify(key)
    if (caller !== null) return caller
  }
  const what = keys.length === 0 ? 'This service wants an API key.' : 'The API key is not known.'
  throw new PrefixdError('PREFIXD_E_API_KEY', what, {
    next: 'Send one as "Authorization: Bearer KEY" or "x-api-key: KEY".',
  })
}

/** Throws `PREFIXD_E_ADMIN_KEY`. */
export function requireAdmin({ caller }: FastifyRequest): void {
  if (caller.isAdmin) return
  throw new PrefixdError(
    'PREFIXD_E_ADMIN_KEY',
    'This route shows and changes what every key has stored; it wants an admin key.',
    { next: 'Use a key that has the word `admin` behind it in the service’s key file.' },
  )
}

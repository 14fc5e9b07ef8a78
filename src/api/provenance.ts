/** Who sent a request, in which session, and what the cache may do for it. Every dialect's door. */
import type { FastifyRequest } from 'fastify'
import { readSession } from '../chat/session.ts'
import type { GenerateRequest } from '../pipeline/types.ts'
import { type CacheWishes, readCacheDirective } from './cache-directive.ts'

/** OpenAI's hint, and where Anthropic's clients put one. No schema asks for them. */
interface SessionFields {
  readonly prompt_cache_key?: unknown
  readonly metadata?: { readonly user_id?: unknown } | null
}

/** Throws `PREFIXD_E_INVALID_VALUE` for cache controls that cannot be honoured as they stand. */
export function readProvenance(
  request: FastifyRequest,
  body: object,
  wishes: CacheWishes,
): Pick<GenerateRequest, 'tenant' | 'session' | 'cache'> {
  const { caller, headers } = request
  const { prompt_cache_key: cacheKey, metadata } = body as SessionFields
  return {
    tenant: caller.tenant,
    session: readSession(headers, [cacheKey], metadata?.user_id),
    cache: readCacheDirective(wishes, headers['x-prefixd-cache'], caller),
  }
}

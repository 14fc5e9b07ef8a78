/**
 * What routes say of requests that failed, into the log of the service. The rest of what the HTTP
 * library would write there (each request that comes and goes) is left out.
 */
import type { FastifyBaseLogger } from 'fastify'
import { kindOf, PrefixdError } from '../errors.ts'

interface FailureLog {
  error(message: string, error?: unknown): void
}

/** What is answered with 500 alone: the rest is for the client to mend, or goes by itself. */
export function requestLog(log: FailureLog, requestId: string | null = null): FastifyBaseLogger {
  const silent = () => {}
  const of = requestId === null ? '' : ` (${requestId})`
  return {
    level: 'error',
    fatal: silent,
    error: (fields: unknown, message = 'the request failed') => {
      const error = errorIn(fields)
      if (kindOf(error).status === 500) log.error(`${message}${of}`, told(error))
    },
    warn: silent,
    info: silent,
    debug: silent,
    trace: silent,
    silent,
    child: ({ reqId }) => requestLog(log, typeof reqId === 'string' ? reqId : requestId),
  }
}

const errorIn = (fields: unknown): unknown =>
  fields instanceof Error ? fields : (fields as { readonly err?: unknown } | null)?.err

/** Of a bug only the stack says where it is; an error with a code of ours says it itself. */
function told(error: unknown): unknown {
  const isOurs = error instanceof PrefixdError || kindOf(error).prefixdCode !== 'PREFIXD_E_INTERNAL'
  return isOurs || !(error instanceof Error) ? error : (error.stack ?? error)
}

/** Bodies are JSON, and no deeper than templates and engines can follow. */
import type { FastifyRequest } from 'fastify'
import { isNestedDeeper } from '../chat/nesting.ts'
import { limits } from '../config/limits.ts'
import { PrefixdError } from '../errors.ts'
import type { Server } from './context.ts'

/** Plain forms and text are what a foreign page can send without asking; they are no JSON. */
export function acceptJsonOnly(server: Server): void {
  server.removeAllContentTypeParsers()
  const parse = server.getDefaultJsonParser('error', 'error')
  server.addContentTypeParser(
    /^application\/([\w.-]+\+)?json\b/,
    { parseAs: 'string' },
    (request, body, done) => {
      // Many programs send the header with every request, whether something follows or not.
      if (body.length === 0 && mayBeAbsent(request)) return done(null, null)
      parse(request, body as string, (error, value) => {
        if (error) done(body.length === 0 ? error : invalidJson(body as string), undefined)
        else done(tooDeep(value), value)
      })
    },
  )
}

/** Nothing is read of it, or the route says what no body means. */
function mayBeAbsent({ routeOptions }: FastifyRequest): boolean {
  const body = routeOptions.schema?.body as BodySchema | undefined
  return body === undefined || body.anyOf?.some(({ type }) => type === 'null') === true
}

interface BodySchema {
  readonly anyOf?: readonly { readonly type?: string }[]
}

/** Node's own message says where it stopped; it quotes a few characters of the body at most. */
function invalidJson(body: string): PrefixdError {
  let reason = 'It has a key that is not allowed (__proto__ or constructor.prototype).'
  try {
    JSON.parse(body)
  } catch (error) {
    reason = `${(error as Error).message}.`
  }
  return new PrefixdError('PREFIXD_E_INVALID_JSON', `The body is not valid JSON. ${reason}`)
}

/** Null for all that people and programs send. */
function tooDeep(body: unknown): PrefixdError | null {
  const { bodyLevels } = limits
  if (!isNestedDeeper(body, bodyLevels)) return null
  const fields = Object.entries(body as object)
  const field = fields.find(([, value]) => isNestedDeeper(value, bodyLevels - 1))?.[0] ?? ''
  const named = field.slice(0, limits.nameLength)
  return new PrefixdError(
    'PREFIXD_E_INVALID_VALUE',
    `${named} may have ${bodyLevels - 1} levels of arrays and objects in each other; it has more.`,
    { field: named, next: 'Send it flatter, or as text.' },
  )
}

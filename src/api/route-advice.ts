/** What to say of a path that nothing answers at, or not by this method. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import { PrefixdError } from '../errors.ts'
import type { Server } from './context.ts'

/** The path's segments, of which those with a colon are anything, and a star is all that follow. */
interface Route {
  readonly method: string
  readonly segments: readonly string[]
}

/** Answers for all routes that are added after it. */
export function adviseOnRoutes(server: Server): void {
  const routes: Route[] = []
  server.addHook('onRoute', ({ method, url }) => {
    for (const each of [method].flat()) routes.push({ method: each, segments: url.split('/') })
  })
  const methodsOf = (path: string) => {
    const segments = path.split('/')
    return [...new Set(routes.filter((route) => fits(route, segments)).map((each) => each.method))]
  }
  server.setNotFoundHandler((request, reply) => {
    throw notFound(request, reply, methodsOf)
  })
}

const fits = (route: Route, segments: readonly string[]): boolean => {
  const { segments: own } = route
  if (own.at(-1) !== '*' && own.length !== segments.length) return false
  return own.every((each, at) => each === '*' || each.startsWith(':') || each === segments[at])
}

function notFound(
  { method, url }: FastifyRequest,
  reply: FastifyReply,
  methodsOf: (path: string) => readonly string[],
): PrefixdError {
  const path = url.split('?', 1)[0] ?? url
  const methods = methodsOf(path)
  if (methods.length > 0) reply.header('allow', methods.join(', '))
  // HEAD comes along with GET, and is nobody's first choice.
  const named = methods.filter((each) => each !== 'HEAD')
  return new PrefixdError(
    'PREFIXD_E_ROUTE_NOT_FOUND',
    `There is no ${method} ${path.slice(0, 200)} here.`,
    {
      next:
        named.length > 0
          ? `Use ${named.join(' or ')}.`
          : (baseUrlAdvice(path, methodsOf) ?? 'docs/api.md lists every route.'),
    },
  )
}

/** OpenAI's clients want a base URL with `/v1`, and Anthropic's one without. */
function baseUrlAdvice(
  path: string,
  methodsOf: (path: string) => readonly string[],
): string | null {
  const meant = path.startsWith('/v1/') ? path.slice('/v1'.length) : `/v1${path}`
  if (methodsOf(meant).length === 0) return null
  const mend = path.startsWith('/v1/') ? 'Leave /v1 out of' : 'Add /v1 to'
  return `There is ${meant}. ${mend} the base URL of your client.`
}

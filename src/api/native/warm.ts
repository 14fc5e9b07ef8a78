/**
 * `POST /v1/cache/warm`: a body of any dialect, computed and stored without an answer. It goes
 * through the dialect's own route, so that its prompt is the same to the token.
 */
import type { FastifyRequest } from 'fastify'
import { adviceHeader, PrefixdError } from '../../errors.ts'
import type { Dialect } from '../../pipeline/types.ts'
import type { ApiContext, Server } from '../context.ts'
import type { CacheObjectJson } from './schema.ts'
import { WarmQuerySchema, type WarmReportJson, WarmRequestSchema } from './upkeep-schema.ts'

type Body = Readonly<Record<string, unknown>>

interface Way {
  readonly url: string
  /** Fields that make it compute the prompt and nothing else. */
  readonly silent: Body
}

const plain = { max_tokens: 0, stream: false, stream_options: null, n: null }
const ways: Readonly<Record<Dialect, Way>> = {
  chat: {
    url: '/v1/chat/completions',
    silent: { ...plain, max_completion_tokens: 0, logprobs: null, top_logprobs: null },
  },
  completions: {
    url: '/v1/completions',
    silent: { ...plain, echo: null, logprobs: null, best_of: null },
  },
  messages: { url: '/v1/messages', silent: { max_tokens: 0, stream: false } },
  responses: { url: '/v1/responses', silent: { max_output_tokens: 0, stream: false } },
}

export function warmRoutes(server: Server, { answers }: ApiContext): void {
  server.post(
    '/v1/cache/warm',
    { schema: { body: WarmRequestSchema, querystring: WarmQuerySchema } },
    async (request, reply) => {
      const body = request.body as Body
      const dialect = request.query.dialect ?? dialectOf(body, request)
      const { url, silent } = ways[dialect]
      const { signal } = answers.follow(reply.raw)
      const answer = await server.inject({
        method: 'POST',
        url,
        headers: passedOn(request),
        payload: { ...body, ...silent },
        signal,
      })
      const told = answer.json<{ readonly model?: string; readonly cache?: CacheObjectJson }>()
      if (answer.statusCode !== 200 || told.cache === undefined || told.model === undefined) {
        for (const name of ['x-prefixd-error', adviceHeader]) {
          const value = answer.headers[name]
          if (value !== undefined) reply.header(name, value)
        }
        return reply.code(answer.statusCode).send(told)
      }
      const { model, cache } = told
      return { object: 'cache.warm', dialect, model, cache } satisfies WarmReportJson
    },
  )
}

/** Who asks, and what they ask of the cache. */
function passedOn({ headers }: FastifyRequest): Record<string, string> {
  const names = ['authorization', 'x-api-key', 'x-prefixd-cache', 'host', 'user-agent']
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = headers[name]
      return typeof value === 'string' ? [[name, value]] : []
    }),
  )
}

/** Chat completions and messages look alike: the latter's system prompt stands beside them. */
function dialectOf(body: Body, { headers }: FastifyRequest): Dialect {
  if (body.input !== undefined) return 'responses'
  if (body.prompt !== undefined) return 'completions'
  const isAnthropic = headers['anthropic-version'] !== undefined || body.system !== undefined
  if (body.messages !== undefined) return isAnthropic ? 'messages' : 'chat'
  throw new PrefixdError(
    'PREFIXD_E_INVALID_VALUE',
    'The body has none of messages, prompt and input: it is a request of no dialect.',
    {
      next: 'Send a body of chat completions, completions, messages or responses.',
    },
  )
}

/** The HTTP server: what is true of every route. It does not listen; `main.ts` does that. */
import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import fastify, { type FastifyBaseLogger, type FastifyReply, type FastifyRequest } from 'fastify'
import { normalisers } from '../chat/hygiene/hygiene.ts'
import { limits as defaultLimits } from '../config/limits.ts'
import type { ReasoningField } from '../config/schema.ts'
import { PrefixdError } from '../errors.ts'
import type { Service } from '../pipeline/types.ts'
import { speaksAnthropic, toAnthropicError } from './anthropic/errors.ts'
import { messageRoutes } from './anthropic/messages.ts'
import { identify, requireAdmin } from './auth/guard.ts'
import type { KeyRing } from './auth/key-ring.ts'
import { openAnswers } from './client.ts'
import type { ApiContext, ApiLimits, Server } from './context.ts'
import { ClientGone, rawHttpError, toErrorReply } from './errors.ts'
import { acceptJsonOnly } from './json-body.ts'
import { adminRoutes } from './native/admin.ts'
import { budgetRoutes } from './native/budgets.ts'
import { eventRoutes } from './native/events.ts'
import { healthRoutes } from './native/health.ts'
import { adviceRoutes, requestRoutes, totalsRoutes } from './native/history.ts'
import { refuseOtherQueries } from './native/own-queries.ts'
import { sessionRoutes } from './native/sessions.ts'
import { tokenRoutes } from './native/tokens.ts'
import { transferRoutes } from './native/transfer.ts'
import { verifyRoutes } from './native/verify.ts'
import { warmRoutes } from './native/warm.ts'
import { chatRoutes } from './openai/chat.ts'
import { completionRoutes } from './openai/completions.ts'
import { embeddingRoutes } from './openai/embeddings.ts'
import { modelRoutes } from './openai/models.ts'
import { allowLocalOrigins, checkHost } from './origin-guard.ts'
import { responseRoutes } from './responses/routes.ts'
import { adviseOnRoutes } from './route-advice.ts'

export interface ServerOptions {
  /** The host that the server is started with; its name is allowed on admin routes. */
  readonly host?: string
  /** Absent: no keys are in use, and everybody who can connect is the owner. */
  readonly keys?: KeyRing
  readonly logger?: FastifyBaseLogger
  readonly limits?: Partial<ApiLimits>
  /** Names of the normalisers of chats that are on; absent: all of them. */
  readonly hygiene?: readonly string[]
  /** Absent: `reasoning_content`. */
  readonly reasoningField?: ReasoningField
}

/** Sortable by time, and unguessable enough not to collide. */
const newRequestId = () => `req_${Date.now().toString(36)}${randomBytes(8).toString('hex')}`

export function createServer(service: Service, options: ServerOptions = {}): Server {
  const limits: ApiLimits = { ...defaultLimits, ...options.limits }
  const server = fastify({
    ...(options.logger ? { loggerInstance: options.logger } : {}),
    bodyLimit: limits.bodyBytes,
    keepAliveTimeout: limits.keepAliveMs,
    requestTimeout: limits.requestArrivalMs,
    routerOptions: { maxParamLength: limits.nameLength },
    requestIdHeader: false,
    genReqId: newRequestId,
    // Ours has the envelope that clients understand; see `refuseWhileClosing`.
    return503OnClosing: false,
    ajv: {
      customOptions: {
        coerceTypes: false,
        removeAdditional: false,
        useDefaults: false,
        // For messages that say what was found instead.
        verbose: true,
      },
    },
    frameworkErrors: answerError,
    clientErrorHandler: answerBrokenHttp,
  }).withTypeProvider<TypeBoxTypeProvider>()

  server.server.maxConnections = limits.connections

  const hygiene = options.hygiene ?? normalisers.map(({ name }) => name)
  const reasoningField = options.reasoningField ?? 'reasoning_content'
  const context: ApiContext = { service, limits, answers: openAnswers(), hygiene, reasoningField }
  acceptJsonOnly(server)
  server.setErrorHandler(answerError)
  adviseOnRoutes(server)
  addHooks(server, options.keys ?? null)
  endAnswersOnClose(server, context)

  chatRoutes(server, context)
  completionRoutes(server, context)
  responseRoutes(server, context)
  embeddingRoutes(server, context)
  messageRoutes(server, context)
  modelRoutes(server, context)
  healthRoutes(server, context)
  tokenRoutes(server, context)
  server.register(async (admin: Server) => {
    admin.addHook('onRequest', async (request) => {
      checkHost(request, options.host ?? 'localhost')
      requireAdmin(request)
    })
    refuseOtherQueries(admin)
    adminRoutes(admin, context)
    budgetRoutes(admin, context)
    totalsRoutes(admin, context)
    verifyRoutes(admin, context)
    adviceRoutes(admin, context)
    eventRoutes(admin, context)
    transferRoutes(admin, context)
    warmRoutes(admin, context)
  })
  server.register(async (own: Server) => {
    own.addHook('onRequest', async (request) => checkHost(request, options.host ?? 'localhost'))
    refuseOtherQueries(own)
    requestRoutes(own, context)
    sessionRoutes(own, context)
  })
  return server
}

/** OpenAI's clients read the first name, Anthropic's the second. */
const requestIds = ({ id }: FastifyRequest) => ({ 'x-request-id': id, 'request-id': id })

function addHooks(server: Server, keys: KeyRing | null): void {
  server.decorateRequest('caller')
  server.addHook('onRequest', async (request, reply) => {
    reply.headers(requestIds(request))
    allowLocalOrigins(request, reply)
    // A preflight has no meaning of its own, whatever the path.
    if (request.method === 'OPTIONS') return reply.code(204).send()
    request.caller = identify(request, keys)
  })
}

function answerError(error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  if (error instanceof ClientGone) {
    request.log.info({ statusCode: 499 }, error.message)
    return reply.code(499).send()
  }
  const answer = toErrorReply(error, request.id, request.routeOptions?.bodyLimit)
  const { status, headers, body } = answer
  const code = headers['x-prefixd-error']
  // Messages may quote what the client sent, so the log has the field's name only.
  if (status < 500) request.log.info({ code, param: body.error.param }, 'refused')
  else if ('retry-after' in headers) request.log.warn({ code }, body.error.message)
  else request.log.error({ err: error, code }, 'the request failed')
  return reply
    .code(status)
    .headers({ ...requestIds(request), ...headers })
    .send(speaksAnthropic(request) ? toAnthropicError(answer, request.id) : body)
}

function answerBrokenHttp(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return
  const tooSlow = error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
  const tooLong = error.code === 'HPE_HEADER_OVERFLOW'
  socket.end(rawHttpError(tooSlow ? 408 : tooLong ? 431 : 400))
}

/**
 * While the server closes, new requests are turned away and running answers may finish for
 * `drainMs`; after that they end with an error. `server.close()` resolves when the last is over.
 */
function endAnswersOnClose(server: Server, { answers, limits }: ApiContext): void {
  const stopping = () => new PrefixdError('PREFIXD_E_ENGINE_STOPPING', 'The service is stopping.')
  let closing = false
  let deadline: NodeJS.Timeout | undefined
  server.addHook('preClose', async () => {
    closing = true
    deadline = setTimeout(() => answers.abortAll(stopping()), limits.drainMs)
  })
  server.addHook('onClose', async () => clearTimeout(deadline))
  server.addHook('onRequest', async () => {
    if (closing) throw stopping()
  })
  server.addHook('onSend', async (_request, reply) => {
    if (closing) reply.header('connection', 'close')
  })
}

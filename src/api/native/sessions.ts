/** What agents say of their sessions: `/v1/sessions`, for each caller's own. */
import type { SessionName, SessionSummary } from '../../pipeline/types.ts'
import type { Caller } from '../auth/caller.ts'
import type { ApiContext, Server } from '../context.ts'
import {
  EndRequestSchema,
  ForkRequestSchema,
  PauseRequestSchema,
  ResumeRequestSchema,
  type SessionEndJson,
  type SessionJson,
  type SessionListJson,
  type SessionResumedJson,
} from './session-schema.ts'

interface Named {
  readonly params: { readonly id: string }
  readonly caller: Caller
}

const nameOf = ({ params: { id }, caller: { tenant } }: Named): SessionName => ({ tenant, id })

export function sessionRoutes(server: Server, { service }: ApiContext): void {
  const { sessions } = service
  server.get('/v1/sessions', async ({ caller }): Promise<SessionListJson> => {
    const found = caller.isAdmin ? sessions.list() : sessions.list(caller.tenant)
    return { object: 'list', data: found.map(toSession) }
  })
  server.post<{ Params: { id: string }; Body: { eta_seconds?: number | null } | null }>(
    '/v1/sessions/:id/pause',
    { schema: { body: PauseRequestSchema } },
    async (request): Promise<SessionJson> => {
      const seconds = request.body?.eta_seconds ?? null
      return toSession(sessions.pause(nameOf(request), seconds === null ? null : seconds * 1000))
    },
  )
  server.post<{ Params: { id: string } }>(
    '/v1/sessions/:id/resume',
    { schema: { body: ResumeRequestSchema } },
    async (request, reply): Promise<SessionResumedJson> => {
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort())
      const { readBytes, ...session } = await sessions.resume(nameOf(request), gone.signal)
      return { ...toSession(session), read_bytes: readBytes }
    },
  )
  server.post<{ Params: { id: string }; Body: { new_id: string } }>(
    '/v1/sessions/:id/fork',
    { schema: { body: ForkRequestSchema } },
    async (request): Promise<SessionJson> =>
      toSession(sessions.fork(nameOf(request), request.body.new_id)),
  )
  server.post<{ Params: { id: string }; Body: { evict?: boolean } | null }>(
    '/v1/sessions/:id/end',
    { schema: { body: EndRequestSchema } },
    async (request): Promise<SessionEndJson> => {
      const ended = await sessions.end(nameOf(request), request.body?.evict === true)
      const { ownBytes, freedBytes } = ended
      return { ...toSession(ended), own_bytes: { ...ownBytes }, freed_bytes: { ...freedBytes } }
    },
  )
}

const toSession = (session: SessionSummary): SessionJson => ({
  id: session.id,
  object: 'session',
  tenant: session.tenant,
  model: session.model,
  prefix: session.prefix,
  tokens: session.tokens,
  tiers: [...session.tiers],
  kept_in_ram_until_ms: session.keptInRamUntilMs,
  last_used_at_ms: session.usedAtMs,
  forked_from: session.forkedFrom,
})

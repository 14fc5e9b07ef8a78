/**
 * Which sessions there are and where their prompts end, for reports. In memory only; the session
 * that was silent for longest is forgotten first.
 */
import { limits } from '../config/limits.ts'
import { PrefixdError } from '../errors.ts'
import type { GenerateRequest, Receipt } from './types.ts'

export interface Sessions {
  note(request: GenerateRequest, receipt: Receipt): void
  /** Ids of the sessions whose latest request ended at this prefix, the latest first. */
  at(prefix: string): readonly string[]
  /**
   * Prefixes at which the latest requests of this session ended, of every tenant. Throws
   * `PREFIXD_E_SESSION_NOT_FOUND`.
   */
  endsOf(session: string): readonly string[]
  readonly count: number
}

interface Session {
  readonly id: string
  readonly prefix: string | null
}

export function createSessions(most: number = limits.sessions): Sessions {
  /** By tenant and id: what one key's client calls a session says nothing of another's. */
  const sessions = new Map<string, Session>()
  return {
    note({ session, tenant }, { prefix }) {
      if (session === null) return
      const key = JSON.stringify([tenant, session])
      sessions.delete(key)
      sessions.set(key, { id: session, prefix })
      const oldest = sessions.keys().next()
      if (sessions.size > most && !oldest.done) sessions.delete(oldest.value)
    },
    at(prefix) {
      const found = [...sessions.values()].filter((session) => session.prefix === prefix)
      const ids = found.map(({ id }) => id).reverse()
      return ids.slice(0, limits.sessionsPerPrefix)
    },
    endsOf(id) {
      const found = [...sessions.values()].filter((session) => session.id === id)
      if (found.length > 0) return found.flatMap(({ prefix }) => prefix ?? [])
      throw new PrefixdError(
        'PREFIXD_E_SESSION_NOT_FOUND',
        'No session of this id is remembered.',
        {
          field: 'session',
          next: 'Sessions are forgotten at a restart; see what is stored with `prefixd ls`.',
        },
      )
    },
    get count() {
      return sessions.size
    },
  }
}

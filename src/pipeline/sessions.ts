/**
 * Which sessions there are and where their prompts end, for reports. In memory only; the session
 * that was silent for longest is forgotten first.
 */
import { limits } from '../config/limits.ts'
import type { GenerateRequest, Receipt } from './types.ts'

export interface Sessions {
  note(request: GenerateRequest, receipt: Receipt): void
  /** Ids of the sessions whose latest request ended at this prefix, the latest first. */
  at(prefix: string): readonly string[]
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
    get count() {
      return sessions.size
    },
  }
}

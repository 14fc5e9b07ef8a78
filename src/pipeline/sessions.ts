/**
 * Which sessions there are and where their prompts end. In memory, and at start those
 * of the requests that are remembered; the session that was silent for longest is forgotten first.
 */
import { limits } from '../config/limits.ts'
import { PrefixdError } from '../errors.ts'
import type { GenerateRequest, Receipt, SessionName } from './types.ts'

export interface Session extends SessionName {
  readonly model: string
  /** Where its latest prompt ended; null: nothing of that was stored. */
  readonly prefix: string | null
  readonly usedAtMs: number
  readonly forkedFrom: string | null
}

export interface Sessions {
  note(
    request: Pick<GenerateRequest, 'session' | 'tenant' | 'model'>,
    receipt: Pick<Receipt, 'prefix'>,
  ): void
  /** Ids of the sessions whose latest request ended at this prefix, the latest first. */
  at(prefix: string): readonly string[]
  /** Of every tenant, or of this one; the latest first. */
  list(tenant?: string | null): readonly Session[]
  /** Throws `PREFIXD_E_SESSION_NOT_FOUND`. */
  get(name: SessionName): Session
  /** Throws `PREFIXD_E_SESSION_NOT_FOUND`, and `PREFIXD_E_INVALID_VALUE` where `newId` is taken. */
  fork(name: SessionName, newId: string): Session
  forget(name: SessionName): void
  /**
   * Prefixes at which the latest requests of this session ended, of every tenant. Throws
   * `PREFIXD_E_SESSION_NOT_FOUND`.
   */
  endsOf(session: string): readonly string[]
  readonly count: number
}

/** By tenant and id: what one key's client calls a session says nothing of another's. */
const keyOf = ({ tenant, id }: SessionName): string => JSON.stringify([tenant, id])

export function createSessions(now: () => number, most: number = limits.sessions): Sessions {
  const sessions = new Map<string, Session>()

  function put(session: Session): Session {
    sessions.delete(keyOf(session))
    sessions.set(keyOf(session), session)
    const oldest = sessions.keys().next()
    if (sessions.size > most && !oldest.done) sessions.delete(oldest.value)
    return session
  }

  function get(name: SessionName): Session {
    const session = sessions.get(keyOf(name))
    if (session === undefined) throw unknown()
    return session
  }

  return {
    get,
    note({ session: id, tenant, model }, { prefix }) {
      if (id === null) return
      const before = sessions.get(keyOf({ tenant, id }))
      const forkedFrom = before?.forkedFrom ?? null
      put({ id, tenant, model, prefix, usedAtMs: now(), forkedFrom })
    },
    at(prefix) {
      const found = [...sessions.values()].filter((session) => session.prefix === prefix)
      const ids = found.map(({ id }) => id).reverse()
      return ids.slice(0, limits.sessionsPerPrefix)
    },
    list: (tenant) =>
      [...sessions.values()]
        .filter((session) => tenant === undefined || session.tenant === tenant)
        .reverse(),
    fork(name, newId) {
      const parent = get(name)
      const id = newId
      if (!sessions.has(keyOf({ tenant: name.tenant, id }))) {
        return put({ ...parent, id, usedAtMs: now(), forkedFrom: name.id })
      }
      throw new PrefixdError('PREFIXD_E_INVALID_VALUE', 'new_id is the id of another session.', {
        field: 'new_id',
        next: 'Choose an id that GET /v1/sessions does not list.',
      })
    },
    forget: (name) => void sessions.delete(keyOf(name)),
    endsOf(id) {
      const found = [...sessions.values()].filter((session) => session.id === id)
      if (found.length > 0) return found.flatMap(({ prefix }) => prefix ?? [])
      throw unknown()
    },
    get count() {
      return sessions.size
    },
  }
}

const unknown = (): PrefixdError =>
  new PrefixdError('PREFIXD_E_SESSION_NOT_FOUND', 'No session of this id is remembered.', {
    field: 'session',
    next: '`prefixd sessions ls`, or GET /v1/sessions, lists those that are.',
  })

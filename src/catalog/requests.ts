/** The requests of the last weeks: what was planned, what the engine confirmed, and why. */
import { limits } from '../config/limits.ts'
import type { RequestQuery, RequestRecord, SessionName } from '../pipeline/types.ts'
import type { CatalogFile } from './catalog-file.ts'
import type { RequestLog } from './types.ts'
import type { WriteQueue } from './write-queue.ts'

interface Row {
  readonly number: number
  readonly id: string
  readonly at_ms: number
  readonly model: string
  readonly tenant: string | null
  readonly session: string | null
  readonly route: string
  readonly status: string
  readonly error: string | null
  readonly plan: string | null
  readonly receipt: string | null
}

const insert = `
INSERT INTO requests (id, at_ms, model, tenant, session, route, status, error, plan, receipt)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

/** Behind all that was noted of it before. */
const end = `
INSERT INTO ended_sessions (tenant, session, last_number, ended_ms)
VALUES (?, ?, (SELECT coalesce(max(number), 0) FROM requests), ?)`

const find = 'SELECT * FROM requests WHERE id = ? ORDER BY number DESC LIMIT 1'

export function requestLog(file: CatalogFile, queue: WriteQueue, now: () => number): RequestLog {
  const write = (request: RequestRecord): void => {
    const { id, atMs, model, tenant, session, route, status, error, plan, receipt } = request
    const json = (value: unknown) => (value === null ? null : JSON.stringify(value))
    const row = [id, atMs, model, tenant, session, route, status, error, json(plan), json(receipt)]
    file.statement(insert).run(...row)
  }
  return {
    note: (request) => queue.push(() => write(request)),
    endSession({ tenant, id }: SessionName) {
      const atMs = now()
      queue.push(() => void file.statement(end).run(tenant, id, atMs))
    },
    async list(query) {
      await queue.settled()
      const rows = file.attempt(() => select(file, query), [])
      const page = rows.slice(0, query.limit)
      const last = rows.length > page.length ? page.at(-1) : undefined
      return { requests: page.map(toRecord), nextCursor: last?.number ?? null }
    },
    async find(id, tenant) {
      await queue.settled()
      const row = file.attempt(
        () => (file.statement(find).get(id) as Row | undefined) ?? null,
        null,
      )
      if (row === null || (tenant !== undefined && row.tenant !== tenant)) return null
      return toRecord(row)
    },
    lastOfSessions() {
      const read = () => file.statement(lastOfSessions).all(limits.sessions) as Row[]
      return file.attempt(read, []).reverse().map(toRecord)
    },
  }
}

const lastOfSessions = `
SELECT * FROM requests WHERE number IN (
  SELECT max(number) FROM requests WHERE session IS NOT NULL AND receipt IS NOT NULL
  GROUP BY tenant, session
) AND NOT EXISTS (
  SELECT 1 FROM ended_sessions AS ended
  WHERE ended.session = requests.session AND ended.tenant IS requests.tenant
    AND ended.last_number >= requests.number
) ORDER BY number DESC LIMIT ?`

/** One row more than the page has, if there is one. */
function select(file: CatalogFile, query: RequestQuery): Row[] {
  const { limit, cursor, model, session, status, tenant } = query
  const wanted: readonly (readonly [string, unknown])[] = [
    ['number < ?', cursor],
    ['model = ?', model],
    ['session = ?', session],
    ['status = ?', status],
    // As `=`, but null is equal to null.
    ['tenant IS ?', tenant],
  ]
  const asked = wanted.filter(([, value]) => value !== undefined)
  const conditions = asked.map(([condition]) => condition).join(' AND ')
  const where = conditions === '' ? '' : `WHERE ${conditions} `
  const sql = `SELECT * FROM requests ${where}ORDER BY number DESC LIMIT ?`
  return file.statement(sql).all(...asked.map(([, value]) => value), limit + 1) as Row[]
}

const parsed = <T>(json: string | null): T | null => (json === null ? null : JSON.parse(json))

const toRecord = (row: Row): RequestRecord => ({
  id: row.id,
  atMs: row.at_ms,
  model: row.model,
  tenant: row.tenant,
  session: row.session,
  route: row.route as RequestRecord['route'],
  status: row.status as RequestRecord['status'],
  error: row.error,
  plan: parsed(row.plan),
  receipt: parsed(row.receipt),
})

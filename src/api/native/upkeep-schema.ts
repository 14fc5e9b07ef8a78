/** The JSON of the routes that take long: their answers are objects, one on each line. */
import { type Static, Type } from 'typebox'
import { CacheObjectSchema } from './schema.ts'
import { count, exactly, nullable } from './values.ts'

const Kind = Type.Union([Type.Literal('kv'), Type.Literal('window'), Type.Literal('state')])

/* ---------- POST /v1/cache/verify ---------- */

export const VerifyRequestSchema = Type.Union([
  Type.Null(),
  exactly({
    /** Take out what is damaged, and free what nobody uses. */
    repair: Type.Optional(Type.Boolean()),
  }),
])

export const FindingSchema = Type.Object({
  type: Type.Literal('finding'),
  kind: Type.Union([
    Type.Literal('entry'),
    Type.Literal('checksum'),
    Type.Literal('unreadable'),
    Type.Literal('tokens'),
    Type.Literal('orphan'),
    Type.Literal('slots'),
    Type.Literal('memory'),
    Type.Literal('index'),
    Type.Literal('leak'),
  ]),
  /** Hash of the block; null where it is no block's. */
  block: nullable(Type.String()),
  record: nullable(Kind),
  /** For people. */
  what: Type.String(),
  mended: Type.Boolean(),
})

const verifyCounts = { records: count, size_bytes: count }

export const VerifyEventSchema = Type.Union([
  Type.Object({ type: Type.Literal('progress'), ...verifyCounts, total_records: count }),
  FindingSchema,
  Type.Object({
    type: Type.Literal('done'),
    ...verifyCounts,
    findings: count,
    /** Of the findings: all but leaks. */
    corrupt: count,
    /** Records that the repair took out, with what was of no use without the damaged ones. */
    removed_records: count,
  }),
])

/* ---------- GET /v1/cache/export, POST /v1/cache/import ---------- */

export const ExportQuerySchema = exactly({ ids: Type.String({ minLength: 1 }) })

export const ImportQuerySchema = exactly({
  /** Take the file, whoever has signed it. */
  trust: Type.Optional(Type.Union([Type.Literal('true'), Type.Literal('false')])),
})

export const ImportReportSchema = Type.Object({
  model: Type.String(),
  signer: Type.String(),
  written_by: Type.String(),
  written_at_ms: count,
  /** The blocks have other names here than in the file: another key's salt is in them. */
  renamed: Type.Boolean(),
  records: count,
  size_bytes: count,
  /** Of the records: newly stored; there already; and those that found no room. */
  stored: count,
  present: count,
  skipped: count,
})

/* ---------- POST /v1/cache/warm ---------- */

/** The dialect's own route looks at its fields. */
export const WarmRequestSchema = Type.Object({})

const Dialects = Type.Union([
  Type.Literal('chat'),
  Type.Literal('completions'),
  Type.Literal('messages'),
  Type.Literal('responses'),
])

/** Absent: it is seen from the fields. */
export const WarmQuerySchema = exactly({ dialect: Type.Optional(Dialects) })

export const WarmReportSchema = Type.Object({
  object: Type.Literal('cache.warm'),
  dialect: Dialects,
  model: Type.String(),
  cache: CacheObjectSchema,
})

/** The last line of an answer that failed after its first. */
export const StreamErrorSchema = Type.Object({
  type: Type.Literal('error'),
  /** Of docs/errors.md. */
  code: Type.String(),
  message: Type.String(),
})

export type VerifyRequestJson = NonNullable<Static<typeof VerifyRequestSchema>>
export type FindingJson = Static<typeof FindingSchema>
export type VerifyEventJson = Static<typeof VerifyEventSchema>
export type ImportReportJson = Static<typeof ImportReportSchema>
export type WarmReportJson = Static<typeof WarmReportSchema>
export type StreamErrorJson = Static<typeof StreamErrorSchema>

/** The JSON of the routes that take long: their answers are objects, one on each line. */
import { type Static, Type } from 'typebox'

const count = Type.Integer({ minimum: 0 })
const nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()])
const Kind = Type.Union([Type.Literal('kv'), Type.Literal('window'), Type.Literal('state')])

/* ---------- POST /v1/cache/verify ---------- */

export const VerifyRequestSchema = Type.Union([
  Type.Null(),
  Type.Object({
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
export type StreamErrorJson = Static<typeof StreamErrorSchema>

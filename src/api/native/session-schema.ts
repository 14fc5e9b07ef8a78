/** The JSON of `/v1/sessions`. */
import { type Static, Type } from 'typebox'
import { limits } from '../../config/limits.ts'
import { count, exactly, nullable, perTier, TierSchema } from './values.ts'

/** The body may be left out. */
export const PauseRequestSchema = Type.Union([
  Type.Null(),
  exactly({
    /** When the session will probably go on. */
    eta_seconds: Type.Optional(
      nullable(Type.Number({ exclusiveMinimum: 0, maximum: limits.sessionPauseMsMax / 1000 })),
    ),
  }),
])

/** Nothing of it is read. */
export const ResumeRequestSchema = Type.Union([Type.Null(), Type.Object({})])

export const ForkRequestSchema = exactly({
  new_id: Type.String({
    minLength: 1,
    maxLength: limits.sessionIdLength,
    pattern: '^[\\x20-\\x7e]*[\\x21-\\x7e][\\x20-\\x7e]*$',
    description: 'printable ASCII characters, not only spaces',
  }),
})

export const EndRequestSchema = Type.Union([
  Type.Null(),
  exactly({
    /** At once; otherwise it goes first when room is needed. */
    evict: Type.Optional(Type.Boolean()),
  }),
])

const session = {
  id: Type.String(),
  object: Type.Literal('session'),
  tenant: nullable(Type.String()),
  model: Type.String(),
  /** Where its latest prompt ended; argument for `prefixd inspect`. */
  prefix: nullable(Type.String()),
  /** Of that prefix; null and empty where it is not stored any more. */
  tokens: nullable(count),
  tiers: Type.Array(TierSchema),
  /** Null: nothing keeps it in RAM. */
  kept_in_ram_until_ms: nullable(Type.Number()),
  last_used_at_ms: Type.Number(),
  forked_from: nullable(Type.String()),
}

export const SessionSchema = Type.Object(session)
export const SessionListSchema = Type.Object({
  object: Type.Literal('list'),
  data: Type.Array(SessionSchema),
})
export const SessionResumedSchema = Type.Object({ ...session, read_bytes: count })
export const SessionEndSchema = Type.Object({
  ...session,
  /** What only this session had, and what of it went at once. */
  own_bytes: perTier(count),
  freed_bytes: perTier(count),
})

export type PauseRequestJson = NonNullable<Static<typeof PauseRequestSchema>>
export type ForkRequestJson = Static<typeof ForkRequestSchema>
export type EndRequestJson = NonNullable<Static<typeof EndRequestSchema>>
export type SessionJson = Static<typeof SessionSchema>
export type SessionListJson = Static<typeof SessionListSchema>
export type SessionResumedJson = Static<typeof SessionResumedSchema>
export type SessionEndJson = Static<typeof SessionEndSchema>

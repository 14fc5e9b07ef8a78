/** What the JSON of our own routes is made of. */
import { type TProperties, Type } from 'typebox'

export const count = Type.Integer({ minimum: 0 })
export const milliseconds = Type.Number({ minimum: 0 })
export const nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()])

/** Bodies that change something, and our queries: an unknown field was meant to be another. */
export const exactly = <T extends TProperties>(fields: T, more: { minProperties?: number } = {}) =>
  Type.Object(fields, { additionalProperties: false, ...more })

export const TierSchema = Type.Union([Type.Literal('ram'), Type.Literal('ssd')])

/** One value for each tier. */
export const perTier = <T extends TProperties[string]>(schema: T) =>
  Type.Object({ ram: schema, ssd: schema })

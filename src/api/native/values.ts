/** What the JSON of our own routes is made of. */
import { Type } from 'typebox'

export const count = Type.Integer({ minimum: 0 })
export const milliseconds = Type.Number({ minimum: 0 })
export const nullable = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()])

/** A JSON schema → values that follow it, as far as the server's schemas go. */
import fc from 'fast-check'
import { isLoud, isNeeded, wordsFor } from './words.ts'

export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json }

/** What TypeBox writes for our routes. */
export interface Schema {
  readonly type?: string
  readonly const?: Json
  readonly enum?: readonly Json[]
  readonly anyOf?: readonly Schema[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly required?: readonly string[]
  readonly items?: Schema
  readonly minItems?: number
  readonly maxItems?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly minLength?: number
  readonly maxLength?: number
}

const itemsMax = 3
const charactersMax = 12

/** Where agents' own words are known for a field, mostly those: else all would be refused. */
export function valuesOf(schema: Schema, place: readonly string[] = []): fc.Arbitrary<Json> {
  const byShape = anyOf(schema, place)
  const words = wordsFor(place)
  return words === null
    ? byShape
    : fc.oneof({ weight: 6, arbitrary: words }, { weight: 1, arbitrary: byShape })
}

function anyOf(schema: Schema, place: readonly string[]): fc.Arbitrary<Json> {
  if (schema.const !== undefined) return fc.constant(schema.const)
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum)
  if (schema.anyOf !== undefined) {
    const kinds = schema.anyOf.map((each) => ({
      weight: each.type === 'null' ? 1 : 4,
      arbitrary: anyOf(each, place),
    }))
    return fc.oneof(...kinds)
  }
  return ofType(schema, place)
}

function ofType(schema: Schema, place: readonly string[]): fc.Arbitrary<Json> {
  const { type, minimum = -2, maximum = 1000 } = schema
  if (type === 'null') return fc.constant(null)
  if (type === 'boolean') return fc.boolean()
  if (type === 'integer') return fc.integer({ min: minimum, max: Math.min(maximum, 1000) })
  if (type === 'number') return fc.double({ min: minimum, max: maximum, noNaN: true })
  if (type === 'string') {
    const minLength = schema.minLength ?? 0
    return fc.string({
      unit: 'grapheme',
      minLength,
      maxLength: Math.min(schema.maxLength ?? charactersMax, minLength + charactersMax),
    })
  }
  if (type === 'array') {
    const minLength = schema.minItems ?? 0
    return fc.array(valuesOf(schema.items ?? {}, [...place, '[]']), {
      minLength,
      maxLength: Math.min(schema.maxItems ?? itemsMax, minLength + itemsMax),
    })
  }
  if (type === 'object') return objectsOf(schema, place)
  if (type === undefined) return fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<Json>
  throw new Error(`The schema of ${place.join('.')} has a type that is not known here: ${type}.`)
}

/** Often one wish or two, so that each is met alone; else up to a third of all at once. */
function objectsOf(schema: Schema, place: readonly string[]): fc.Arbitrary<Json> {
  const { properties = {}, required = [] } = schema
  const names = Object.keys(properties)
  if (names.length === 0) {
    const values = fc.jsonValue({ maxDepth: 1 }) as fc.Arbitrary<Json>
    return fc.dictionary(fc.string(), values, { maxKeys: 2 })
  }
  const needed = names.filter((name) => required.includes(name) || isNeeded(name))
  const optional = names.filter((name) => !needed.includes(name))
  const loud = optional.filter(isLoud)
  const wishes = fc.oneof(
    {
      weight: loud.length > 0 ? 3 : 0,
      arbitrary: fc.subarray(loud, {
        minLength: Math.min(1, loud.length),
        maxLength: Math.min(2, loud.length),
      }),
    },
    { weight: 3, arbitrary: fc.subarray(optional, { maxLength: Math.min(2, optional.length) }) },
    { weight: 1, arbitrary: fc.subarray(optional, { maxLength: Math.ceil(optional.length / 3) }) },
  )
  const values = new Map(
    Object.entries(properties).map(([name, each]) => [name, valuesOf(each, [...place, name])]),
  )
  return wishes.chain((wished) => {
    const fields = [...needed, ...wished].map((name) => {
      const all = values.get(name) ?? fc.constant(null)
      return all.map((value) => [name, value] as const)
    })
    return fc.tuple(...fields).map((entries): Json => Object.fromEntries(entries))
  })
}

/** A JSON schema → values that follow it, as far as the server's schemas go. */
import fc from 'fast-check'
import { isNeeded, wordsFor } from './words.ts'

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
const absent = Symbol('absent')

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

/** Each optional field is there once in four, so that most bodies ask for a few things. */
function objectsOf(schema: Schema, place: readonly string[]): fc.Arbitrary<Json> {
  const { properties = {}, required = [] } = schema
  const fields = Object.entries(properties).map(([name, value]) => {
    const values: fc.Arbitrary<Json | typeof absent> = valuesOf(value, [...place, name])
    const field =
      required.includes(name) || isNeeded(name)
        ? values
        : fc.oneof(
            { weight: 3, arbitrary: fc.constant<Json | typeof absent>(absent) },
            { weight: 1, arbitrary: values },
          )
    return field.map((found) => [name, found] as const)
  })
  if (fields.length === 0)
    return fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 1 }) as fc.Arbitrary<Json>, {
      maxKeys: 2,
    })
  return fc
    .tuple(...fields)
    .map((entries) => Object.fromEntries(entries.filter(isThere)) as { [key: string]: Json })
}

const isThere = (
  entry: readonly [string, Json | typeof absent],
): entry is readonly [string, Json] => entry[1] !== absent

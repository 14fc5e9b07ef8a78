/** What two schemas say together, as `allOf` means it. Pure. */
import { type Facts, isSame, type JsonType, type Limit } from './facts.ts'
import type { Schema } from './schema-document.ts'
import { pathTo, schemaError } from './schema-error.ts'

/** One schema that says both; the same two give the same object, so that recursion ends. */
export type JoinSchemas = (a: Schema, b: Schema) => Schema

/** Null: nothing can be both. Throws PREFIXD_E_SCHEMA for what cannot be said as one. */
export function mergeFacts(a: Facts, b: Facts, join: JoinSchemas): Facts | null {
  const types = mergeTypes(a.types, b.types)
  const values = mergeValues(a.values, b.values)
  if (types?.length === 0 || values?.length === 0) return null
  return {
    path: a.path,
    types,
    values,
    ...mergeObjects(a, b, join),
    names: joined(a.names, b.names, join),
    minProperties: Math.max(a.minProperties, b.minProperties),
    maxProperties: least(a.maxProperties, b.maxProperties),
    ...mergeArrays(a, b, join),
    minItems: Math.max(a.minItems, b.minItems),
    maxItems: least(a.maxItems, b.maxItems),
    uniqueItems: a.uniqueItems || b.uniqueItems,
    minimum: stricter(a.minimum, b.minimum, (x, y) => x > y),
    maximum: stricter(a.maximum, b.maximum, (x, y) => x < y),
    multipleOf: mergeMultiples(a, b),
    minLength: Math.max(a.minLength, b.minLength),
    maxLength: least(a.maxLength, b.maxLength),
    pattern: oneOfBoth(a, b, 'pattern'),
    format: oneOfBoth(a, b, 'format'),
  }
}

function mergeTypes(
  a: readonly JsonType[] | null,
  b: readonly JsonType[] | null,
): readonly JsonType[] | null {
  if (a === null || b === null) return a ?? b
  const inB = a.filter((type) => b.includes(type) || (type === 'integer' && b.includes('number')))
  const integer = a.includes('number') && !b.includes('number') && b.includes('integer')
  return integer && !inB.includes('integer') ? [...inB, 'integer'] : inB
}

function mergeValues(
  a: readonly unknown[] | null,
  b: readonly unknown[] | null,
): readonly unknown[] | null {
  if (a === null || b === null) return a ?? b
  return a.filter((value) => b.some((other) => isSame(value, other)))
}

function joined(a: Schema | null, b: Schema | null, join: JoinSchemas): Schema | null {
  return a === null || b === null ? (a ?? b) : join(a, b)
}

/** A property that only one of them knows is to the other one of its further properties. */
function mergeObjects(
  a: Facts,
  b: Facts,
  join: JoinSchemas,
): Pick<Facts, 'properties' | 'required' | 'extra'> {
  const required = new Set([...a.required, ...b.required])
  const properties = new Map<string, Schema>()
  for (const name of new Set([...a.properties.keys(), ...b.properties.keys()])) {
    const own = (facts: Facts): Schema | null =>
      facts.properties.has(name) ? (facts.properties.get(name) ?? null) : facts.extra
    const schema = joined(own(a), own(b), join)
    // What may not be there is left out, unless it must be: then nothing can be right.
    if (schema !== false || required.has(name)) properties.set(name, schema)
  }
  return { properties, required, extra: joined(a.extra, b.extra, join) }
}

function mergeArrays(a: Facts, b: Facts, join: JoinSchemas): Pick<Facts, 'prefix' | 'items'> {
  const length = Math.max(a.prefix.length, b.prefix.length)
  const at = (facts: Facts, index: number): Schema | null =>
    index < facts.prefix.length ? (facts.prefix[index] ?? null) : facts.items
  const prefix = Array.from(
    { length },
    (_, index) => joined(at(a, index), at(b, index), join) ?? true,
  )
  return { prefix, items: joined(a.items, b.items, join) }
}

const least = (a: number | null, b: number | null): number | null =>
  a === null || b === null ? (a ?? b) : Math.min(a, b)

function stricter(
  a: Limit | null,
  b: Limit | null,
  isStricter: (x: number, y: number) => boolean,
): Limit | null {
  if (a === null || b === null) return a ?? b
  if (a.value === b.value) return { value: a.value, exclusive: a.exclusive || b.exclusive }
  return isStricter(a.value, b.value) ? a : b
}

function mergeMultiples(a: Facts, b: Facts): number | null {
  const [x, y] = [a.multipleOf, b.multipleOf]
  if (x === null || y === null) return x ?? y
  if (Number.isInteger(x / y)) return x
  if (Number.isInteger(y / x)) return y
  throw schemaError(pathTo(b.path, 'multipleOf'), `cannot hold together with ${x}`)
}

function oneOfBoth(a: Facts, b: Facts, word: 'pattern' | 'format'): string | null {
  const [x, y] = [a[word], b[word]]
  if (x === null || y === null || x === y) return x ?? y
  throw schemaError(
    pathTo(b.path, word),
    'stands beside another one, and a grammar can only hold a model to one of them',
    `Write one \`${word}\` that says both.`,
  )
}

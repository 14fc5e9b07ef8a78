/**
 * What one schema says by itself, whatever draft wrote it: the keywords that restrict, read and
 * checked. What only describes is left out, and what cannot be held to is refused by its path.
 */
import type { Schema } from './schema-document.ts'
import { pathTo, schemaError } from './schema-error.ts'

export const jsonTypes = [
  'object',
  'array',
  'string',
  'number',
  'integer',
  'boolean',
  'null',
] as const
export type JsonType = (typeof jsonTypes)[number]

export interface Limit {
  readonly value: number
  readonly exclusive: boolean
}

export interface Facts {
  readonly path: string
  /** In the schema's order; null: it does not say. */
  readonly types: readonly JsonType[] | null
  /** From `enum` or `const`; null: it does not say. */
  readonly values: readonly unknown[] | null
  readonly properties: ReadonlyMap<string, Schema>
  readonly required: ReadonlySet<string>
  /** What other properties must be; null: it does not say. */
  readonly extra: Schema | null
  /** What the names of properties must be; null: it does not say. */
  readonly names: Schema | null
  readonly minProperties: number
  readonly maxProperties: number | null
  /** The first items, one by one. */
  readonly prefix: readonly Schema[]
  /** What further items must be; null: it does not say. */
  readonly items: Schema | null
  readonly minItems: number
  readonly maxItems: number | null
  readonly uniqueItems: boolean
  readonly minimum: Limit | null
  readonly maximum: Limit | null
  readonly multipleOf: number | null
  readonly minLength: number
  readonly maxLength: number | null
  readonly pattern: string | null
  readonly format: string | null
}

export type Words = Readonly<Record<string, unknown>>

/** They restrict, and no grammar can hold a model to them. Values that ask for nothing pass. */
const unsupported: Readonly<Record<string, (value: unknown) => boolean>> = {
  not: () => false,
  if: () => false,
  contains: () => false,
  minContains: () => false,
  maxContains: () => false,
  dependentRequired: isEmpty,
  dependentSchemas: isEmpty,
  dependencies: isEmpty,
  patternProperties: isEmpty,
  unevaluatedItems: (value) => typeof value === 'boolean',
  unevaluatedProperties: (value) => typeof value === 'boolean',
  $dynamicRef: () => false,
  $recursiveRef: () => false,
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}

const objectWords = ['properties', 'required', 'additionalProperties', 'propertyNames'] as const
const impliedBy: readonly (readonly [JsonType, readonly string[]])[] = [
  ['object', [...objectWords, 'minProperties', 'maxProperties', 'unevaluatedProperties']],
  ['array', ['items', 'prefixItems', 'minItems', 'maxItems', 'uniqueItems', 'additionalItems']],
  ['string', ['minLength', 'maxLength', 'pattern', 'format']],
  ['number', ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf']],
]

/** `$ref`, `allOf`, `anyOf` and `oneOf` are not looked at. Throws PREFIXD_E_SCHEMA. */
export function readFacts(words: Words, path: string): Facts {
  for (const [word, isHarmless] of Object.entries(unsupported)) {
    if (!Object.hasOwn(words, word) || isHarmless(words[word])) continue
    throw schemaError(pathTo(path, word), 'is a keyword that no grammar can hold a model to', hint)
  }
  const read = createReader(words, path)
  const { prefix, items } = readItems(words, path)
  const extra = read.schema('additionalProperties')
  const isClosed = words.unevaluatedProperties === false
  return {
    path,
    types: readTypes(words, path),
    values: readValues(words, path),
    properties: read.properties(),
    required: read.required(),
    extra: extra ?? (isClosed ? false : null),
    names: read.schema('propertyNames'),
    minProperties: read.count('minProperties') ?? 0,
    maxProperties: read.count('maxProperties'),
    prefix,
    items,
    minItems: read.count('minItems') ?? 0,
    maxItems: read.count('maxItems'),
    uniqueItems: words.uniqueItems === true,
    minimum: readLimit(read.number, words, ['minimum', 'exclusiveMinimum'], Math.max),
    maximum: readLimit(read.number, words, ['maximum', 'exclusiveMaximum'], Math.min),
    multipleOf: readMultiple(read.number('multipleOf'), path),
    minLength: read.count('minLength') ?? 0,
    maxLength: read.count('maxLength'),
    pattern: read.string('pattern'),
    format: read.string('format'),
  }
}

const hint = 'Leave it out, or check it in your program.'

function createReader(words: Words, path: string) {
  const wrong = (word: string, allowed: string): Error =>
    schemaError(pathTo(path, word), `must be ${allowed}`)
  const number = (word: string): number | null => {
    const value = words[word]
    if (value === undefined) return null
    if (typeof value !== 'number' || !Number.isFinite(value)) throw wrong(word, 'a number')
    return value
  }
  return {
    number,
    count(word: string): number | null {
      const value = number(word)
      if (value === null || (Number.isSafeInteger(value) && value >= 0)) return value
      throw wrong(word, 'a whole number from 0')
    },
    string(word: string): string | null {
      const value = words[word]
      if (value === undefined) return null
      if (typeof value !== 'string') throw wrong(word, 'a string')
      return value
    },
    schema(word: string): Schema | null {
      const value = words[word]
      if (value === undefined) return null
      if (!isSchema(value)) throw wrong(word, 'a schema: an object, true or false')
      return value
    },
    properties(): ReadonlyMap<string, Schema> {
      const value = words.properties
      if (value === undefined) return new Map()
      if (!isObject(value)) throw wrong('properties', 'an object')
      for (const [name, each] of Object.entries(value)) {
        if (isSchema(each)) continue
        const place = pathTo(pathTo(path, 'properties'), name)
        throw schemaError(place, 'must be a schema: an object, true or false')
      }
      return new Map(Object.entries(value))
    },
    required(): ReadonlySet<string> {
      const value = words.required
      // Draft 3 wrote `required: true` at the property itself.
      if (value === undefined || typeof value === 'boolean') return new Set()
      if (!Array.isArray(value) || value.some((name) => typeof name !== 'string')) {
        throw wrong('required', 'an array of names')
      }
      return new Set(value as string[])
    },
  }
}

export const isObject = (value: unknown): value is Words =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
export const isSchema = (value: unknown): boolean => typeof value === 'boolean' || isObject(value)

function readTypes(words: Words, path: string): readonly JsonType[] | null {
  const { type } = words
  const types = type === undefined ? impliedTypes(words) : Array.isArray(type) ? type : [type]
  for (const [index, each] of types.entries()) {
    if (jsonTypes.includes(each as JsonType)) continue
    const place = pathTo(path, 'type')
    throw schemaError(
      Array.isArray(type) ? pathTo(place, index) : place,
      `must be ${jsonTypes.map((name) => JSON.stringify(name)).join(', ')}`,
    )
  }
  if (types.length === 0) return null
  // OpenAPI's word for what later became a type.
  return words.nullable === true ? [...new Set<JsonType>([...types, 'null'])] : types
}

/** A schema with `properties` and no `type` means objects, whatever the specification allows. */
function impliedTypes(words: Words): JsonType[] {
  if (words.enum !== undefined || words.const !== undefined) return []
  return impliedBy.flatMap(([type, keywords]) =>
    keywords.some((word) => words[word] !== undefined) ? [type] : [],
  )
}

function readValues(words: Words, path: string): readonly unknown[] | null {
  const { enum: values, const: value } = words
  if (values !== undefined && (!Array.isArray(values) || values.length === 0)) {
    throw schemaError(pathTo(path, 'enum'), 'must be an array of at least one value')
  }
  const all = values === undefined ? null : (values as readonly unknown[])
  const withNull = all !== null && words.nullable === true ? [...all, null] : all
  if (!Object.hasOwn(words, 'const')) return withNull
  return withNull === null || withNull.some((each) => isSame(each, value)) ? [value] : []
}

export const isSame = (a: unknown, b: unknown): boolean => canonical(a) === canonical(b)

/** JSON with sorted keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    isObject(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  )
}

/** Until 2019 `items` could be a list, and `additionalItems` said what followed. */
function readItems(words: Words, path: string): Pick<Facts, 'prefix' | 'items'> {
  const isOld = Array.isArray(words.items)
  const [first, rest] = isOld
    ? (['items', 'additionalItems'] as const)
    : (['prefixItems', 'items'] as const)
  const prefix = words[first] ?? []
  if (!Array.isArray(prefix) || !prefix.every(isSchema)) {
    throw schemaError(pathTo(path, first), 'must be an array of schemas')
  }
  const items = words[rest] ?? null
  if (items !== null && !isSchema(items)) {
    throw schemaError(pathTo(path, rest), 'must be a schema: an object, true or false')
  }
  return { prefix, items: words.unevaluatedItems === false && items === null ? false : items }
}

/** The stricter of both; until 2016 `exclusiveMinimum: true` said how `minimum` is meant. */
function readLimit(
  number: (word: string) => number | null,
  words: Words,
  [inclusive, exclusive]: readonly [string, string],
  stricter: (a: number, b: number) => number,
): Limit | null {
  const limit = number(inclusive)
  if (typeof words[exclusive] === 'boolean') {
    return limit === null ? null : { value: limit, exclusive: words[exclusive] }
  }
  const beyond = number(exclusive)
  if (beyond === null) return limit === null ? null : { value: limit, exclusive: false }
  if (limit === null) return { value: beyond, exclusive: true }
  const value = stricter(limit, beyond)
  return { value, exclusive: value === beyond }
}

function readMultiple(value: number | null, path: string): number | null {
  if (value !== null && value <= 0) {
    throw schemaError(pathTo(path, 'multipleOf'), 'must be a number above 0')
  }
  return value
}

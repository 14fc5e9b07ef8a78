/**
 * What a schema says, as a list of alternatives: references are followed, `allOf` is one schema,
 * and `anyOf` and `oneOf` are the alternatives. Pure.
 */
import { neverBoth } from './exclusive.ts'
import { type Facts, isObject, readFacts, type Words } from './facts.ts'
import { mergeFacts } from './merge.ts'
import type { Schema, SchemaDocument } from './schema-document.ts'
import { pathTo, schemaError } from './schema-error.ts'

/** Pairs of alternatives of `oneOf` that are looked at, in one schema. */
const comparisonsMax = 200_000

/** Alternatives of one schema: `anyOf` beside `anyOf` has as many as both multiplied. */
const alternativesMax = 256

export interface Expander {
  expand(schema: Schema, path: string): readonly Facts[]
}

const combining = ['$ref', 'allOf', 'anyOf', 'oneOf'] as const

export function createExpander(document: SchemaDocument): Expander {
  const pairs = new Map<Schema, Map<Schema, Schema>>()
  /** Schemas that are being expanded: one that comes again would never end. */
  const underway = new Set<Schema>()
  const expanded = new Map<Schema, readonly Facts[]>()
  let comparisons = 0

  const join = (a: Schema, b: Schema): Schema => {
    if (a === true || a === b) return b
    if (b === true) return a
    if (a === false || b === false) return false
    const known = pairs.get(a) ?? new Map<Schema, Schema>()
    pairs.set(a, known)
    const before = known.get(b)
    if (before !== undefined) return before
    const joint = { allOf: [a, b] }
    document.place(joint, document.pathOf(a, ''))
    known.set(b, joint)
    return joint
  }

  function expand(schema: Schema, fallback: string): readonly Facts[] {
    const path = document.pathOf(schema, fallback)
    if (schema === false) return []
    if (schema === true) return [readFacts({}, path)]
    if (!isObject(schema)) throw schemaError(path, 'must be a schema: an object, true or false')
    const before = expanded.get(schema)
    if (before !== undefined) return before
    if (underway.has(schema)) throw schemaError(path, 'refers to itself without end')
    underway.add(schema)
    try {
      const all = expandWords(schema, path)
      expanded.set(schema, all)
      return all
    } finally {
      underway.delete(schema)
    }
  }

  function expandWords(words: Words, path: string): readonly Facts[] {
    let all: readonly Facts[] = [readFacts(words, path)]
    if (words.$ref !== undefined) {
      all = cross(all, expand(document.resolve(words.$ref, path), path), path)
    }
    for (const part of listOf(words, 'allOf', path)) all = cross(all, expand(part, path), path)
    const anyOf = listOf(words, 'anyOf', path)
    if (anyOf.length > 0)
      all = cross(
        all,
        anyOf.flatMap((part) => expand(part, path)),
        path,
      )
    const oneOf = listOf(words, 'oneOf', path)
    if (oneOf.length > 0) all = cross(all, exactlyOne(oneOf, path), path)
    return all
  }

  function cross(all: readonly Facts[], more: readonly Facts[], path: string): readonly Facts[] {
    if (all.length * more.length > alternativesMax) {
      throw schemaError(path, `has more than ${alternativesMax} alternatives`)
    }
    return all.flatMap((a) => more.flatMap((b) => mergeFacts(a, b, join) ?? []))
  }

  function exactlyOne(parts: readonly Schema[], path: string): readonly Facts[] {
    const branches = parts.map((part) => expand(part, path))
    const count = (): void => {
      comparisons += 1
      if (comparisons > comparisonsMax) {
        throw schemaError(
          pathTo(path, 'oneOf'),
          'has too many alternatives to compare',
          'Use `anyOf`.',
        )
      }
    }
    for (const [index, branch] of branches.entries()) {
      const other = branches.findIndex(
        (earlier, at) => at < index && !neverBoth(earlier, branch, { expand, count }),
      )
      if (other < 0) continue
      throw schemaError(
        pathTo(pathTo(path, 'oneOf'), index),
        `may hold for the same value as oneOf[${other}], and exactly one is asked for`,
        'Use `anyOf`, or give each a required property with a `const` of its own.',
      )
    }
    return branches.flat()
  }

  return { expand }
}

/** Null: it is no union of whole schemas. They need not be expanded, so that recursion stays. */
export function plainUnion(words: Words, path: string): readonly Schema[] | null {
  const own = Object.keys(words).filter((word) => !describing.has(word))
  return own.length === 1 && own[0] === 'anyOf' ? listOf(words, 'anyOf', path) : null
}

/** Null: it is no mere reference. */
export function plainReference(words: Words): unknown {
  const own = Object.keys(words).filter((word) => !describing.has(word))
  return own.length === 1 && own[0] === '$ref' ? words.$ref : null
}

const describing: ReadonlySet<string> = new Set([
  ...['title', 'description', 'default', 'examples', 'deprecated', 'readOnly', 'writeOnly'],
  ...['$schema', '$id', '$comment', '$defs', 'definitions', 'discriminator'],
])

function listOf(words: Words, word: (typeof combining)[number], path: string): readonly Schema[] {
  const value = words[word]
  if (value === undefined) return []
  if (Array.isArray(value) && value.length > 0) return value
  throw schemaError(pathTo(path, word), 'must be an array of at least one schema')
}

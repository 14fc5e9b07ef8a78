/**
 * Can no value be both? `oneOf` asks for exactly one, and a grammar writes any of them: so it has
 * to be seen from the schemas. Pure.
 */
import { type Facts, isSame, type JsonType } from './facts.ts'
import { isOfType } from './fits.ts'
import type { Schema } from './schema-document.ts'

/** What a schema says, as alternatives without `anyOf` and references. */
export type Expand = (schema: Schema, path: string) => readonly Facts[]

export interface Comparison {
  readonly expand: Expand
  /** Called for each pair; throws when there are too many. */
  readonly count: () => void
}

/** So deep tags of unions lie. */
const tagDepth = 3

export function neverBoth(
  a: readonly Facts[],
  b: readonly Facts[],
  comparison: Comparison,
  depth = 0,
): boolean {
  return a.every((x) => b.every((y) => areApart(x, y, comparison, depth)))
}

function areApart(a: Facts, b: Facts, comparison: Comparison, depth: number): boolean {
  comparison.count()
  if (a.values !== null && b.values !== null) {
    return !a.values.some((value) => b.values?.some((other) => isSame(value, other)))
  }
  if (areOtherTypes(a, b)) return true
  if (!isObjects(a) || !isObjects(b)) return false
  return (
    (misses(a, b) && misses(b, a)) || (depth < tagDepth && haveOtherTags(a, b, comparison, depth))
  )
}

function areOtherTypes(a: Facts, b: Facts): boolean {
  if (a.values !== null) return isNone(a.values, b.types)
  if (b.values !== null) return isNone(b.values, a.types)
  if (a.types === null || b.types === null) return false
  const wide = (types: readonly JsonType[]) => types.map((it) => (it === 'integer' ? 'number' : it))
  const others = wide(b.types)
  return !wide(a.types).some((type) => others.includes(type))
}

const isNone = (values: readonly unknown[], types: readonly JsonType[] | null): boolean =>
  types !== null && !values.some((value) => types.some((type) => isOfType(value, type)))

const isObjects = ({ types }: Facts): boolean => types?.length === 1 && types[0] === 'object'

/** Objects that are written for `a` are never `b`: they lack, or have, what `b` wants otherwise. */
function misses(a: Facts, b: Facts): boolean {
  const isClosed = a.extra === false || (a.extra === null && a.properties.size > 0)
  const lacks = [...b.required].some((name) => !a.properties.has(name) && !a.required.has(name))
  const forbidden = [...a.required].some((name) => b.extra === false && !b.properties.has(name))
  return (isClosed && lacks) || forbidden
}

/** A property that both must have, and that cannot be the same in both. */
function haveOtherTags(a: Facts, b: Facts, comparison: Comparison, depth: number): boolean {
  const { expand } = comparison
  return [...a.required].some((name) => {
    if (!b.required.has(name) || !a.properties.has(name) || !b.properties.has(name)) return false
    const [x, y] = [a.properties.get(name), b.properties.get(name)]
    return neverBoth(expand(x, a.path), expand(y, b.path), comparison, depth + 1)
  })
}

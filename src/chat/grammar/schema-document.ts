/** A JSON schema with the places of its parts in the request, and what its references mean. */
import { pathTo, schemaError } from './schema-error.ts'

export type Schema = unknown

export interface SchemaLimits {
  readonly schemaDepth: number
  readonly schemaNodes: number
  readonly patternLength: number
}

export interface SchemaDocument {
  readonly root: Schema
  /** Where this part stands; `fallback` for parts that are no objects, or were made here. */
  pathOf(part: Schema, fallback: string): string
  /** Says where a part that was made here comes from. */
  place(part: object, path: string): void
  /** The part that `$ref` means. Throws PREFIXD_E_SCHEMA where there is none. */
  resolve(reference: unknown, path: string): Schema
}

/** Throws PREFIXD_E_SCHEMA for schemas that are nested too deep or have too many parts. */
export function readDocument(root: Schema, path: string, limits: SchemaLimits): SchemaDocument {
  const paths = new WeakMap<object, string>()
  let nodes = 0
  const open: { part: unknown; path: string; depth: number }[] = [{ part: root, path, depth: 0 }]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { part, path: place, depth } = next
    if (typeof part !== 'object' || part === null) continue
    nodes += 1
    if (depth > limits.schemaDepth) {
      throw schemaError(place, `is nested deeper than ${limits.schemaDepth} levels`)
    }
    if (nodes > limits.schemaNodes) {
      throw schemaError(path, `has more than ${limits.schemaNodes} objects and arrays`)
    }
    paths.set(part, place)
    const isList = Array.isArray(part)
    for (const [key, value] of Object.entries(part)) {
      const inside = pathTo(place, isList ? Number(key) : key)
      if (key === 'pattern' && typeof value === 'string') checkPattern(value, inside, limits)
      open.push({ part: value, path: inside, depth: depth + 1 })
    }
  }
  return {
    root,
    pathOf: (part, fallback) =>
      typeof part === 'object' && part !== null ? (paths.get(part) ?? fallback) : fallback,
    place: (part, where) => void paths.set(part, where),
    resolve: (reference, where) => resolvePointer(root, reference, pathTo(where, '$ref')),
  }
}

export function checkPattern(
  pattern: string,
  path: string,
  { patternLength }: Pick<SchemaLimits, 'patternLength'>,
): void {
  if (pattern.length <= patternLength) return
  throw schemaError(path, `has more than ${patternLength} characters`)
}

function resolvePointer(root: Schema, reference: unknown, path: string): Schema {
  if (typeof reference !== 'string') throw schemaError(path, 'must be a string')
  if (reference === '#') return root
  if (!reference.startsWith('#/')) {
    throw schemaError(
      path,
      `is ${JSON.stringify(reference).slice(0, 80)}; only references inside of the schema are read`,
      'Put the definition into `$defs` and refer to it as "#/$defs/NAME".',
    )
  }
  let part: unknown = root
  for (const raw of reference.slice(2).split('/')) {
    const key = unescapePointer(raw)
    const isThere = typeof part === 'object' && part !== null && Object.hasOwn(part, key)
    if (!isThere) {
      throw schemaError(path, `names ${JSON.stringify(reference).slice(0, 80)}, which is not there`)
    }
    part = (part as Readonly<Record<string, unknown>>)[key]
  }
  return part
}

function unescapePointer(raw: string): string {
  let key = raw
  try {
    key = decodeURIComponent(raw)
  } catch {
    // A lone percent sign means itself.
  }
  return key.replaceAll('~1', '/').replaceAll('~0', '~')
}

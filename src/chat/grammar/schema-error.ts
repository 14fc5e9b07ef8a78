/** What is wrong with a schema, a pattern or a grammar of a request, and where. */
import { PrefixdError } from '../../errors.ts'

/** `path` is the place in the body; `problem` goes on behind it, without a full stop. */
export function schemaError(path: string, problem: string, next?: string): PrefixdError {
  return new PrefixdError('PREFIXD_E_SCHEMA', `${path} ${problem}.`, {
    field: path,
    ...(next === undefined ? {} : { next }),
  })
}

/** `schema.properties` and `first name` → `schema.properties["first name"]`. */
export function pathTo(path: string, key: string | number): string {
  if (typeof key === 'number') return `${path}[${key}]`
  return /^[\w$-]{1,64}$/.test(key)
    ? `${path}.${key}`
    : `${path}[${JSON.stringify(key).slice(0, 80)}]`
}

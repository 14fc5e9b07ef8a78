/** Does a listed value keep to what stands beside the list? */
import type { Facts, JsonType, Limit } from './facts.ts'
import { pathTo, schemaError } from './schema-error.ts'

/** Throws PREFIXD_E_SCHEMA for keywords that would have to be looked up in the value. */
export function fits(value: unknown, facts: Facts): boolean {
  if (facts.types !== null && !facts.types.some((type) => isOfType(value, type))) return false
  if (typeof value === 'string') {
    const length = [...value].length
    if (facts.pattern !== null) throw besideValues(facts, 'pattern')
    return length >= facts.minLength && (facts.maxLength === null || length <= facts.maxLength)
  }
  if (typeof value === 'number') {
    if (facts.multipleOf !== null && !Number.isInteger(value / facts.multipleOf)) return false
    return isAbove(value, facts.minimum) && isBelow(value, facts.maximum)
  }
  if (Array.isArray(value)) {
    if (facts.items !== null || facts.prefix.length > 0) throw besideValues(facts, 'items')
    const most = facts.maxItems ?? value.length
    return value.length >= facts.minItems && value.length <= most
  }
  const isObject = typeof value === 'object' && value !== null
  if (isObject && (facts.properties.size > 0 || facts.required.size > 0)) {
    throw besideValues(facts, 'properties')
  }
  return true
}

export function isOfType(value: unknown, type: JsonType): boolean {
  if (type === 'null') return value === null
  if (type === 'array') return Array.isArray(value)
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value)
  if (type === 'integer') return Number.isInteger(value)
  const own: string = typeof value
  return own === type
}

const isAbove = (value: number, limit: Limit | null): boolean =>
  limit === null || value > limit.value || (value === limit.value && !limit.exclusive)
const isBelow = (value: number, limit: Limit | null): boolean =>
  limit === null || value < limit.value || (value === limit.value && !limit.exclusive)

const besideValues = ({ path }: Facts, word: string): Error =>
  schemaError(pathTo(path, word), 'cannot be held to beside `enum` or `const`')

/** What Ajv found wrong → one typed error that names one field and says what is allowed there. */
import type { FastifySchemaValidationError } from 'fastify'
import { closestNames } from '../config/closest-name.ts'
import { PrefixdError, shown } from '../errors.ts'

/** With Ajv's `verbose`, errors also carry the value and the schema that it failed. */
interface Failure extends FastifySchemaValidationError {
  readonly data?: unknown
  readonly parentSchema?: {
    readonly description?: string
    readonly const?: unknown
    readonly properties?: Readonly<Record<string, unknown>>
  }
}

export type RequestPart = 'body' | 'querystring' | 'params' | 'headers'

/** `/messages/3/content` → `messages[3].content`. */
export function fieldName(instancePath: string): string {
  let field = ''
  for (const raw of instancePath.split('/').slice(1)) {
    const key = raw.replaceAll('~1', '/').replaceAll('~0', '~')
    if (/^\d+$/.test(key)) field += `[${key}]`
    else field += field === '' ? shown(key) : `.${shown(key)}`
  }
  return field
}

/**
 * A union fails once per branch. When the failures below it all point to one place, that place is
 * the mistake; when they point to several, the union itself is described.
 */
export function invalidRequest(
  failures: readonly FastifySchemaValidationError[],
  part: RequestPart,
): PrefixdError {
  const all = failures as readonly Failure[]
  const union = all.findLast((failure) => failure.keyword === 'anyOf')
  const below = all.filter((f) => f.keyword !== 'anyOf' && f.instancePath !== union?.instancePath)
  const places = new Set(below.map((failure) => failure.instancePath))
  const single = places.size === 1 ? [...places][0] : undefined
  const place = single ?? union?.instancePath ?? all[0]?.instancePath ?? ''
  const here = all.filter(
    (failure) => failure.instancePath === place && failure.keyword !== 'anyOf',
  )
  const missing = here.find((failure) => failure.keyword === 'required')
  if (missing) return missingField(place, missing)
  const unknown = here.find((failure) => failure.keyword === 'additionalProperties')
  if (unknown) return unknownField(place, unknown, part)
  const empty = here.find((failure) => failure.keyword === 'minProperties')
  if (empty) return emptyObject(place, empty, part)
  const described = single === undefined ? union?.parentSchema?.description : undefined
  const allowed = described ?? allowedHere(here)
  const field = fieldName(place)
  const got = here[0] && 'data' in here[0] ? `, not ${kindOfValue(here[0].data)}` : ''
  const subject = field === '' ? `The ${wordFor(part)}` : field
  return new PrefixdError('PREFIXD_E_INVALID_VALUE', `${subject} must be ${allowed}${got}.`, {
    ...(field === '' ? {} : { field }),
  })
}

function missingField(place: string, failure: Failure): PrefixdError {
  const field = fieldName(`${place}/${String(failure.params.missingProperty)}`)
  return new PrefixdError('PREFIXD_E_INVALID_VALUE', `${field} is missing.`, { field })
}

const wordFor = (part: RequestPart): string => (part === 'querystring' ? 'query' : part)

const fieldsOf = ({ parentSchema }: Failure): string[] =>
  Object.keys(parentSchema?.properties ?? {})

function emptyObject(place: string, failure: Failure, part: RequestPart): PrefixdError {
  const known = fieldsOf(failure)
  const subject = fieldName(place) || `The ${wordFor(part)}`
  return new PrefixdError(
    'PREFIXD_E_INVALID_VALUE',
    `${subject} must have at least one of ${known.join(', ')}; it has none.`,
    known[0] === undefined ? {} : { field: known[0] },
  )
}

function unknownField(place: string, failure: Failure, part: RequestPart): PrefixdError {
  const name = String(failure.params.additionalProperty)
  const field = [fieldName(place), shown(name)].filter(Boolean).join('.')
  const known = fieldsOf(failure)
  const [close] = closestNames(name, known, 1)
  return new PrefixdError(
    'PREFIXD_E_INVALID_VALUE',
    `${field} is no field of this ${wordFor(part)}; it has ${known.join(', ') || 'none'}.`,
    { field, next: close === undefined ? 'Leave it out.' : `Did you mean ${close}?` },
  )
}

function allowedHere(failures: readonly Failure[]): string {
  const choices = [...new Set(failures.map(allowedBy))]
  const last = choices.pop() ?? 'valid'
  return choices.length === 0 ? last : `${choices.join(', ')} or ${last}`
}

const typeWords: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  object: 'an object',
  array: 'an array',
  null: 'null',
}

const wordOf = (type: string): string => typeWords[type] ?? type

function allowedBy(failure: Failure): string {
  const { keyword, params } = failure
  if (keyword === 'type') return wordOf(String(params.type))
  if (keyword === 'const') return JSON.stringify(params.allowedValue)
  if (keyword === 'enum') {
    const values = params.allowedValues as readonly unknown[]
    return `one of ${values.map((value) => JSON.stringify(value)).join(', ')}`
  }
  if (keyword === 'minimum') return `at least ${String(params.limit)}`
  if (keyword === 'maximum') return `at most ${String(params.limit)}`
  if (keyword === 'minItems') return `an array of at least ${String(params.limit)}`
  if (keyword === 'maxItems') return `an array of at most ${String(params.limit)}`
  if (keyword === 'minLength') return `a string of at least ${String(params.limit)} characters`
  if (keyword === 'maxLength') return `a string of at most ${String(params.limit)} characters`
  return failure.parentSchema?.description ?? (failure.message ?? 'valid').replace(/^must be /, '')
}

/** Never the text itself: prompts do not belong in errors and logs. Numbers are shown. */
function kindOfValue(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  if (typeof value === 'string') {
    return value.length <= 40 ? JSON.stringify(value) : `a string of ${value.length} characters`
  }
  return 'an object'
}

/** What a client wants visible text to be, in any spelling. Pure. */
import { PrefixdError } from '../errors.ts'
import type { TextConstraint } from '../pipeline/types.ts'

type Words = Readonly<Record<string, unknown>>

const anyObject = { type: 'object' }

/**
 * `response_format`, `text.format` and `output_config.format`: `{type: "json_schema", …}` has the
 * schema in itself, or in `json_schema` as chats do. Null: any text. Throws
 * `PREFIXD_E_INVALID_VALUE`.
 */
export function readTextFormat(format: unknown, field: string): TextConstraint | null {
  if (format === undefined || format === null) return null
  const { type, schema, json_schema: nested } = Object(format) as Words
  if (type === 'text') return null
  // llama-server's clients give a schema here too.
  if (type === 'json_object' && schema == null) {
    return { kind: 'schema', schema: anyObject, path: field }
  }
  if (type !== 'json_schema' && type !== 'json_object') {
    throw invalid(`${field}.type`, 'must be "text", "json_object" or "json_schema"')
  }
  // Where neither is there, a chat's is meant: only its field has the word `response_format`.
  const isChat = field === 'response_format' && type === 'json_schema'
  const isNested =
    schema === undefined && (isChat || (typeof nested === 'object' && nested !== null))
  const path = isNested ? `${field}.json_schema.schema` : `${field}.schema`
  const found = isNested ? (Object(nested) as Words).schema : schema
  return { kind: 'schema', schema: readSchema(found, path), path }
}

/** Fields that servers of open models have beside OpenAI's. */
export interface OpenFields {
  readonly response_format?: unknown
  /** llama-server. */
  readonly json_schema?: unknown
  readonly grammar?: unknown
  /** vLLM, newer and older. */
  readonly structured_outputs?: unknown
  readonly guided_json?: unknown
  readonly guided_regex?: unknown
  readonly guided_choice?: unknown
  readonly guided_grammar?: unknown
}

const readers: Readonly<Record<string, (value: unknown, path: string) => TextConstraint | null>> = {
  json: (value, path) => ({ kind: 'schema', schema: readSchema(value, path), path }),
  regex: (value, path) => ({ kind: 'regex', pattern: readText(value, path), path }),
  choice: (value, path) => ({ kind: 'choice', texts: readTexts(value, path), path }),
  grammar: (value, path) => {
    const grammar = readText(value, path)
    return grammar.trim() === '' ? null : { kind: 'grammar', grammar, path }
  },
  json_object: (value, path) =>
    value === true ? { kind: 'schema', schema: anyObject, path } : null,
}

const kindOf: Readonly<Record<Exclude<keyof OpenFields, 'response_format'>, string>> = {
  json_schema: 'json',
  grammar: 'grammar',
  structured_outputs: '',
  guided_json: 'json',
  guided_regex: 'regex',
  guided_choice: 'choice',
  guided_grammar: 'grammar',
}

/** All spellings of one body, of which it may use one. Throws `PREFIXD_E_INVALID_VALUE`. */
export function readOpenFormat(body: OpenFields): TextConstraint | null {
  const all = Object.entries(kindOf).flatMap(([field, kind]) => {
    const value = (body as Words)[field]
    if (value === undefined || value === null) return []
    if (kind !== '') return [[field, readers[kind]?.(value, field) ?? null] as const]
    return readStructured(value, field)
  })
  const format = readTextFormat(body.response_format, 'response_format')
  const given = [['response_format', format] as const, ...all].filter(([, it]) => it !== null)
  const [first, second] = given
  if (first !== undefined && second !== undefined) {
    throw invalid(second[0], `and ${first[0]} exclude each other`)
  }
  return first?.[1] ?? null
}

function readStructured(value: unknown, field: string) {
  return Object.entries(Object(value) as Words).flatMap(([word, inner]) => {
    if (inner === undefined || inner === null || !Object.hasOwn(readers, word)) return []
    const path = `${field}.${word}`
    return [[path, readers[word]?.(inner, path) ?? null] as const]
  })
}

/** vLLM's clients also send it as text. */
function readSchema(value: unknown, path: string): unknown {
  if (typeof value === 'boolean') return value
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  if (typeof value !== 'string') throw invalid(path, 'must be a JSON schema')
  try {
    return JSON.parse(value)
  } catch {
    throw invalid(path, 'must be a JSON schema, and this text is no JSON')
  }
}

function readText(value: unknown, path: string): string {
  if (typeof value === 'string') return value
  throw invalid(path, 'must be a string')
}

function readTexts(value: unknown, path: string): readonly string[] {
  const isList = Array.isArray(value) && value.length > 0
  if (isList && value.every((each) => typeof each === 'string' && each !== '')) return value
  throw invalid(path, 'must be an array of at least one text')
}

const invalid = (field: string, rule: string): PrefixdError =>
  new PrefixdError('PREFIXD_E_INVALID_VALUE', `${field} ${rule}.`, { field })

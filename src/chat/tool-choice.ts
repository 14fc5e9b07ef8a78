/** What a client wants of calls, in any dialect → what the answer is held to. Pure. */
import { PrefixdError } from '../errors.ts'
import type { AnswerConstraint, TextConstraint } from '../pipeline/types.ts'

type Words = Readonly<Record<string, unknown>>

export interface ToolChoice {
  readonly mode: 'auto' | 'none' | 'required'
  /** Names of those that may be called; null: all of them. */
  readonly only: readonly string[] | null
  /** OpenAI: a function that is forced by its name is called exactly once. */
  readonly once?: true
}

/** A function that the client offers. */
export interface OfferedTool {
  readonly name: string
  /** JSON schema of its arguments; null and absent: an object of any kind. */
  readonly schema: unknown
  /** Where that stands in the body. */
  readonly path: string
  /** Shall arguments obey the schema even where the model need not call? */
  readonly strict: boolean
}

export const freeChoice: ToolChoice = { mode: 'auto', only: null }

/**
 * OpenAI's spellings, of chats (`{function: {name}}`) and of responses (`{name}`). Throws
 * `PREFIXD_E_INVALID_VALUE` or `PREFIXD_E_UNSUPPORTED_PARAMETER`.
 */
export function readToolChoice(choice: unknown): ToolChoice {
  if (choice === undefined || choice === null) return freeChoice
  if (choice === 'auto' || choice === 'none') return { mode: choice, only: null }
  // Mistral's clients say "any".
  if (choice === 'required' || choice === 'any') return { mode: 'required', only: null }
  const { type } = Object(choice) as { readonly type?: unknown }
  if (type === 'allowed_tools') return readAllowed(choice as object)
  const name = nameIn(choice)
  if ((type === 'function' || type === undefined) && name !== null) {
    return { mode: 'required', only: [name], once: true }
  }
  throw new PrefixdError(
    typeof type === 'string' && type !== 'function'
      ? 'PREFIXD_E_UNSUPPORTED_PARAMETER'
      : 'PREFIXD_E_INVALID_VALUE',
    'tool_choice must be "auto", "none", "required", a function by name, or allowed_tools.',
    {
      field: 'tool_choice',
      next: 'Name a function: {"type": "function", "function": {"name": …}}.',
    },
  )
}

/** Responses have the list at the choice itself, chats one level below. */
function readAllowed(choice: object): ToolChoice {
  const nested = (choice as { readonly allowed_tools?: unknown }).allowed_tools
  const { mode, tools } = Object(nested ?? choice) as Words
  const field = nested === undefined ? 'tool_choice' : 'tool_choice.allowed_tools'
  if (mode !== 'auto' && mode !== 'required') {
    throw invalid(`${field}.mode`, 'must be "auto" or "required"')
  }
  if (!Array.isArray(tools)) throw invalid(`${field}.tools`, 'must be an array of tools')
  // Tools that no model here can call are left out everywhere.
  return { mode, only: tools.flatMap((tool) => nameIn(tool) ?? []) }
}

function nameIn(value: unknown): string | null {
  const { name, function: inner } = Object(value) as Words
  const found = (Object(inner) as { readonly name?: unknown }).name ?? name
  return typeof found === 'string' ? found : null
}

export interface Wishes {
  readonly text: TextConstraint | null
  readonly tools: readonly OfferedTool[]
  readonly choice: ToolChoice
  readonly parallel: boolean
}

/**
 * Null where the model may write what it likes. Throws `PREFIXD_E_INVALID_VALUE` for a choice among
 * tools that are not there.
 */
export function toConstraint({ text, tools, choice, parallel }: Wishes): AnswerConstraint | null {
  const { mode, only } = choice
  checkChoice(tools, choice)
  const allowed = only === null ? null : new Set(only)
  const callable = tools.filter(({ name }) => allowed?.has(name) ?? true)
  const isFree = mode === 'auto' && only === null && text === null
  const hasCalls = mode !== 'none' && callable.length > 0
  if (!hasCalls || (isFree && !callable.some(({ strict }) => strict))) {
    return text === null ? null : { text, calls: null }
  }
  const required = mode === 'required'
  return {
    text: required ? null : text,
    calls: {
      required,
      parallel: parallel && choice.once !== true,
      tools: callable.map(({ name, schema, path, strict }) => ({
        name,
        schema: required || strict ? (schema ?? null) : null,
        path,
      })),
    },
  }
}

function checkChoice(tools: readonly OfferedTool[], { mode, only }: ToolChoice): void {
  if (mode === 'none') return
  const names = new Set(tools.map(({ name }) => name))
  const missing = only?.find((name) => !names.has(name))
  if (missing !== undefined) {
    throw invalid('tool_choice', `names ${JSON.stringify(missing)}, which is not among the tools`)
  }
  if (mode === 'required' && (only ?? tools).length === 0) {
    throw invalid('tool_choice', 'asks for a call, and there is no function to call')
  }
}

const invalid = (field: string, rule: string): PrefixdError =>
  new PrefixdError('PREFIXD_E_INVALID_VALUE', `${field} ${rule}.`, { field })

/** OpenAI: a function that leaves `parameters` out has none. */
const noParameters = { type: 'object', properties: {}, additionalProperties: false }

/** OpenAI's functions: in `function`, as chats have them, or flat, as responses do. */
export function offeredFunctions(tools: readonly unknown[], field = 'tools'): OfferedTool[] {
  return tools.flatMap((tool, index) => {
    const { type, function: nested, ...flat } = Object(tool) as Words
    if (type !== undefined && type !== 'function') return []
    const inner = (typeof nested === 'object' && nested !== null ? nested : flat) as Words
    const path = `${field}[${index}]${inner === nested ? '.function' : ''}.parameters`
    return offered(inner, inner.parameters ?? noParameters, path)
  })
}

/** Anthropic's tools that run at the client's. */
export function offeredTools(tools: readonly unknown[]): OfferedTool[] {
  return tools.flatMap((tool, index) => {
    const words = Object(tool) as Words
    if (words.type != null && words.type !== 'custom') return []
    return offered(words, words.input_schema, `tools[${index}].input_schema`)
  })
}

function offered({ name, strict }: Words, schema: unknown, path: string): OfferedTool[] {
  return typeof name === 'string' ? [{ name, schema, path, strict: strict === true }] : []
}

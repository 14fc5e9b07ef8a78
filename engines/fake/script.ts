/**
 * How the fake model answers a chat that wants more than words. Its last message decides:
 *
 * - with tools, a user who writes `call NAME`, or a word of five letters or more that is a part
 *   of a tool's name (`weather` for `get_weather`), gets a call of each such tool, in their order;
 * - a user who writes the word `think` gets reasoning before the answer.
 *
 * Markup is fixed. Reasoning, and every text argument without an `enum`, are letters that come out
 * of the arithmetic, so that a wrong restore still gives a wrong answer.
 */
import { endToken, special, tokenText } from './vocabulary.ts'

/** Text as it stands, or a number of letters that the arithmetic chooses. */
export type ScriptPart = string | { readonly letters: number }

export interface Script {
  readonly parts: readonly ScriptPart[]
  /** The answer ends behind it; otherwise the model goes on in its own words. */
  readonly ends: boolean
}

const lettersOfReasoning = 24
const lettersOfArgument = 8
const shortestWord = 5

interface Tool {
  readonly name: string
  readonly parameters: unknown
}

/** Null: the model answers in its own words. */
export function scriptFor(prompt: Uint32Array): Script | null {
  const asked = questionOf(prompt)
  if (asked === null) return null
  const words = new Set(asked.toLowerCase().match(/[a-z]+/g))
  const calls = toolsOf(prompt).filter(
    ({ name }) => asked.includes(`call ${name}`) || partsOfName(name).some((it) => words.has(it)),
  )
  const thought: ScriptPart[] = words.has('think')
    ? ['<think>\n', { letters: lettersOfReasoning }, '\n</think>\n\n']
    : []
  const parts = [...thought, ...calls.flatMap(callParts)]
  return parts.length === 0 ? null : { parts, ends: calls.length > 0 }
}

/** The text of the last message, where that is a user's and an answer is to follow. */
function questionOf(prompt: Uint32Array): string | null {
  if (prompt.at(-1) !== special('<|assistant|>')) return null
  const message = prompt.subarray(prompt.lastIndexOf(special('<|user|>')) + 1)
  const end = message.indexOf(endToken)
  // Behind it stand the line's end and the tag, and nobody else's message.
  const isLast = message.length < prompt.length && end === message.length - 3
  return isLast ? tokenText(message.subarray(0, end)) : null
}

const partsOfName = (name: string): string[] =>
  (name.toLowerCase().match(/[a-z]+/g) ?? []).filter((part) => part.length >= shortestWord)

function toolsOf(prompt: Uint32Array): Tool[] {
  if (prompt[0] !== special('<|tools|>')) return []
  const tools = parseTools(tokenText(prompt.subarray(1, prompt.indexOf(endToken))))
  return tools.flatMap(({ function: it }) =>
    typeof it?.name === 'string' ? [{ name: it.name, parameters: it.parameters }] : [],
  )
}

/** A prompt of bare tokens may have anything there. */
function parseTools(json: string): { readonly function?: Partial<Tool> }[] {
  try {
    const tools: unknown = JSON.parse(json)
    return Array.isArray(tools) ? tools.filter((tool) => typeof tool === 'object' && tool) : []
  } catch {
    return []
  }
}

function callParts({ name, parameters }: Tool, index: number): ScriptPart[] {
  const open = `${index > 0 ? '\n' : ''}<tool_call>\n`
  const head = `{"name": ${JSON.stringify(name)}, "arguments": `
  return [open, head, ...valueParts(parameters ?? { type: 'object' }, 0), '}\n</tool_call>']
}

interface Schema {
  readonly type?: unknown
  readonly enum?: unknown
  readonly const?: unknown
  readonly properties?: unknown
  readonly required?: unknown
  readonly anyOf?: unknown
}

const depthMax = 8

/** A value that follows the schema, as far as agents' schemas go. */
function valueParts(value: unknown, depth: number): ScriptPart[] {
  const schema: Schema = typeof value === 'object' && value !== null ? value : {}
  if (schema.const !== undefined) return [JSON.stringify(schema.const)]
  if (Array.isArray(schema.enum)) return [JSON.stringify(schema.enum[0] ?? null)]
  if (Array.isArray(schema.anyOf)) return valueParts(schema.anyOf[0], depth + 1)
  const type: unknown = Array.isArray(schema.type) ? schema.type[0] : schema.type
  if (type === 'object' || typeof schema.properties === 'object') return objectParts(schema, depth)
  if (type === 'integer' || type === 'number') return ['1']
  if (type === 'boolean') return ['true']
  if (type === 'array') return ['[]']
  return type === 'null' ? ['null'] : ['"', { letters: lettersOfArgument }, '"']
}

/** The required properties; all of them where the schema does not say. */
function objectParts({ properties, required }: Schema, depth: number): ScriptPart[] {
  const entries = depth < depthMax ? Object.entries(properties ?? {}) : []
  const wanted = entries.filter(([key]) => !Array.isArray(required) || required.includes(key))
  const members = wanted.map(([key, schema], index) => [
    `${index > 0 ? ', ' : ''}${JSON.stringify(key)}: `,
    ...valueParts(schema, depth + 1),
  ])
  return ['{', ...members.flat(), '}']
}

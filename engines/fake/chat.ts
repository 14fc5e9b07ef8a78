/** The fake engine's template: `<|role|>text<|end|>\n`, tools before everything else. */
import { EngineError } from '../errors.ts'
import type { RenderInput } from '../types.ts'
import { isSpecial, type Special } from './vocabulary.ts'

/** What it would be as Jinja; the service reads from it how calls and reasoning are written. */
export const templateText =
  '<|tools|>[…]<|end|> <|role|><think>\n…\n</think>\n\n…\n<tool_call>\n{…}\n</tool_call><|end|>'

const roles: readonly unknown[] = ['system', 'user', 'assistant', 'tool']

/** Order of keys is kept, and arguments that are text stay as they are. */
export function render(input: RenderInput): string {
  let text = ''
  if (input.tools !== undefined && input.tools.length > 0) {
    text += `<|tools|>${JSON.stringify(input.tools)}<|end|>\n`
  }
  for (const [index, message] of input.messages.entries()) {
    const { reasoning_content: reasoning } = message
    const thought = typeof reasoning === 'string' ? `<think>\n${reasoning}\n</think>\n\n` : ''
    const said = [textOf(message.content, index), ...callsOf(message.tool_calls)]
    const body = said.filter((each) => each !== '').join('\n')
    text += `${roleTag(message.role, index)}${thought}${body}<|end|>\n`
  }
  return input.addGenerationPrompt ? `${text}<|assistant|>` : text
}

function callsOf(calls: unknown): string[] {
  if (!Array.isArray(calls)) return []
  return calls.map((call: { function?: { name?: unknown; arguments?: unknown } } | null) => {
    const { name, arguments: args } = call?.function ?? {}
    const json = typeof args === 'string' ? args : JSON.stringify(args ?? {})
    const head = `{"name": ${JSON.stringify(name ?? '')}, "arguments": `
    return `<tool_call>\n${head}${json}}\n</tool_call>`
  })
}

function roleTag(role: unknown, index: number): Special {
  const name = role === 'developer' ? 'system' : role
  const tag = `<|${String(name)}|>`
  if (roles.includes(name) && isSpecial(tag)) return tag
  throw templateError(`messages[${index}].role`, 'system, developer, user, assistant or tool')
}

function textOf(content: unknown, index: number): string {
  if (content === null || content === undefined) return ''
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) throw templateError(`messages[${index}].content`, 'text or parts')
  const parts = content.map((part: { text?: unknown }) => part?.text)
  if (parts.every((text) => typeof text === 'string')) return parts.join('')
  throw templateError(`messages[${index}].content`, 'parts of type text')
}

function templateError(field: string, allowed: string): EngineError {
  return new EngineError(
    'PREFIXD_E_ENGINE_TEMPLATE',
    `\`${field}\` must be ${allowed}; the fake engine's template knows nothing else.`,
  )
}

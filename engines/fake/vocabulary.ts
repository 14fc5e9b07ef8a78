/** The fake engine's words: one token per byte, and a few special ones. */
import { EngineError } from '../errors.ts'
import type { RenderInput, TokenizeOptions } from '../types.ts'

const specials = [
  '<|begin|>',
  '<|end|>',
  '<|system|>',
  '<|user|>',
  '<|assistant|>',
  '<|tool|>',
  '<|tools|>',
] as const
type Special = (typeof specials)[number]

const firstSpecial = 256
export const vocabularySizeMin = firstSpecial + specials.length
export const endToken = special('<|end|>')

const specialPattern = new RegExp(`(${specials.map((it) => it.replaceAll('|', '\\|')).join('|')})`)

export function tokenize(text: string, options: TokenizeOptions): Uint32Array {
  const ids: number[] = options.addSpecial ? [special('<|begin|>')] : []
  const parts = options.parseSpecial ? text.split(specialPattern) : [text]
  for (const part of parts) {
    if (options.parseSpecial && isSpecial(part)) ids.push(special(part))
    else for (const byte of Buffer.from(part, 'utf8')) ids.push(byte)
  }
  return Uint32Array.from(ids)
}

/** Tokens beyond the special ones only make the vocabulary larger; they spell themselves. */
export function piece(token: number): Uint8Array {
  if (token < firstSpecial) return Uint8Array.of(token)
  return Buffer.from(specials[token - firstSpecial] ?? `<|unused-${token}|>`, 'utf8')
}

/** What the template would be if it were Jinja; the service reads from it how calls are written. */
export const templateText = '<|tools|>[…] <|role|>content <tool_call>{…}</tool_call><|end|>'

/** The template: `<|role|>text<|end|>\n`, tools before everything else. Order of keys is kept. */
export function render(input: RenderInput): string {
  let text = ''
  if (input.tools !== undefined && input.tools.length > 0) {
    text += `<|tools|>${JSON.stringify(input.tools)}<|end|>\n`
  }
  for (const [index, message] of input.messages.entries()) {
    const calls = message.tool_calls === undefined ? '' : JSON.stringify(message.tool_calls)
    text += `${roleTag(message.role, index)}${textOf(message.content, index)}${calls}<|end|>\n`
  }
  return input.addGenerationPrompt ? `${text}<|assistant|>` : text
}

function roleTag(role: unknown, index: number): Special {
  const tag = `<|${role === 'developer' ? 'system' : String(role)}|>`
  if (['system', 'user', 'assistant', 'tool'].includes(tag.slice(2, -2)) && isSpecial(tag))
    return tag
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

function special(word: Special): number {
  return firstSpecial + specials.indexOf(word)
}

function isSpecial(text: string): text is Special {
  return (specials as readonly string[]).includes(text)
}

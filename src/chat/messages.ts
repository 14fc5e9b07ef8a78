/**
 * A chat as a client sends it → a chat as the model's own template receives it. Pure, and free of
 * any one dialect: each API brings its messages into this shape first. Field names in errors are
 * those of the request, `messages[3].content[1]`.
 */
import { PrefixdError } from '../errors.ts'
import type { Breakpoint, ChatInput } from '../pipeline/types.ts'

export type ContentPart = Readonly<Record<string, unknown>> & { readonly type: string }

export type ChatMessage = Readonly<Record<string, unknown>> & {
  readonly role: string
  readonly content?: string | readonly ContentPart[] | null
}

export interface Chat {
  readonly messages: readonly ChatMessage[]
  readonly tools?: readonly unknown[]
  /** `none` keeps the tools out of the prompt. */
  readonly toolChoice?: 'auto' | 'none'
  readonly templateArgs?: Readonly<Record<string, unknown>>
  readonly documents?: readonly unknown[]
  /** Default true: the prompt ends where the assistant's answer begins. */
  readonly addGenerationPrompt?: boolean
  /** The last message is the beginning of the answer, which goes on where it ends. */
  readonly goesOn?: boolean
}

/** The text that a part carries, by its type. Other parts are media, which no worker reads yet. */
const textFieldOf: Readonly<Record<string, string>> = { text: 'text', refusal: 'refusal' }

/**
 * Keeps the client's order of messages, tools and keys, because all of it is in the rendered
 * prompt. Throws `PREFIXD_E_UNSUPPORTED_PARAMETER` for media and `PREFIXD_E_INVALID_VALUE` for
 * parts without their text, and for a last message that no answer can go on with.
 */
export function toRenderInput(chat: Chat): ChatInput {
  const wanted = chat.toolChoice === 'none' ? [] : (chat.tools ?? []).filter(isFunctionTool)
  const tools = wanted.map(withoutMark)
  const messages = chat.messages.map(toTemplateMessage)
  const breakpoints = [
    ...wanted.flatMap((tool, index) => (isMarked(tool) ? [{ tool: index }] : [])),
    ...chat.messages.flatMap(breakpointsIn),
  ]
  if (chat.goesOn) checkGoesOn(messages)
  return {
    messages,
    ...(tools.length > 0 ? { tools } : {}),
    ...(chat.documents ? { documents: chat.documents } : {}),
    addGenerationPrompt: chat.addGenerationPrompt ?? true,
    ...(chat.templateArgs ? { templateArgs: chat.templateArgs } : {}),
    ...(chat.goesOn ? { goesOn: true } : {}),
    ...(breakpoints.length > 0 ? { breakpoints } : {}),
  }
}

/** Anthropic's word, which agents send in every dialect, and OpenAI's. */
export function isMarked(value: unknown): boolean {
  const { cache_control: control, prompt_cache_breakpoint: breakpoint } = Object(value)
  return control != null || breakpoint != null
}

function breakpointsIn(message: ChatMessage, index: number): Breakpoint[] {
  const { content } = message
  const found: Breakpoint[] = []
  let atChar = 0
  if (Array.isArray(content)) {
    for (const [place, part] of content.entries()) {
      atChar += textOf(part, `messages[${index}].content[${place}]`).length
      if (isMarked(part)) found.push({ message: index, atChar })
    }
  }
  return isMarked(message) ? [...found, { message: index, atChar: null }] : found
}

/** Only text can be gone on with: a template closes calls and thinking itself. */
function checkGoesOn(messages: readonly Readonly<Record<string, unknown>>[]): void {
  const { role, content, tool_calls: calls } = messages.at(-1) ?? {}
  const isText = typeof content === 'string' && content.trim() !== ''
  if (role === 'assistant' && isText && calls == null) return
  throw new PrefixdError(
    'PREFIXD_E_INVALID_VALUE',
    'messages must end with text of the assistant alone, if the answer shall go on with it.',
    { field: 'messages', next: 'Or end with a message of the user.' },
  )
}

/** Agents also send tools that only a vendor's own servers can run; templates know functions. */
export function isFunctionTool(tool: unknown): boolean {
  const type = (tool as { type?: unknown } | null)?.type
  return type === undefined || type === 'function'
}

/** Templates print a tool with all its keys. */
function withoutMark(tool: unknown): unknown {
  if (!isMarked(tool) && Object(tool).cache_control === undefined) return tool
  const { cache_control: _, prompt_cache_breakpoint: __, ...rest } = tool as ContentPart
  return rest
}

function toTemplateMessage(message: ChatMessage, index: number): Readonly<Record<string, unknown>> {
  // A client's word to the cache is no text: it moves from turn to turn, and the prompt must not.
  const { cache_control: _, prompt_cache_breakpoint: __, ...words } = message
  const { role, content, reasoning, ...rest } = words
  checkCalls(rest.tool_calls, `messages[${index}].tool_calls`)
  return {
    // Templates of open models know `system`; `developer` is OpenAI's newer word for it.
    role: role === 'developer' ? 'system' : role,
    // Templates add strings; an assistant turn of tool calls alone has null, or nothing, here.
    content: joinText(content ?? '', `messages[${index}].content`),
    // vLLM and mlx-lm name this field `reasoning`; templates read the other name.
    ...(typeof reasoning === 'string' ? { reasoning_content: reasoning } : {}),
    ...rest,
  }
}

/** Templates look into every call, and would write `undefined` for what it lacks. */
function checkCalls(calls: unknown, field: string): void {
  if (calls === undefined || calls === null) return
  if (!Array.isArray(calls)) throw invalid(field, 'must be an array of calls')
  for (const [index, call] of calls.entries()) {
    const place = `${field}[${index}]`
    if (typeof call !== 'object' || call === null) throw invalid(place, 'must be an object')
    const { name } = Object((call as { function?: unknown }).function) as { name?: unknown }
    if (typeof name !== 'string') throw invalid(`${place}.function.name`, 'must be a string')
  }
}

const invalid = (field: string, rule: string): PrefixdError =>
  new PrefixdError('PREFIXD_E_INVALID_VALUE', `${field} ${rule}.`, { field })

function joinText(content: string | readonly ContentPart[], field: string): string {
  if (typeof content === 'string') return content
  return content.map((part, index) => textOf(part, `${field}[${index}]`)).join('')
}

function textOf(part: ContentPart, field: string): string {
  const textField = Object.hasOwn(textFieldOf, part.type) ? textFieldOf[part.type] : undefined
  if (textField === undefined) {
    throw new PrefixdError(
      'PREFIXD_E_UNSUPPORTED_PARAMETER',
      `${field} is of type "${part.type}"; the models served here read parts of type "text" only.`,
      { field, next: 'Leave this part out, or describe it in words.' },
    )
  }
  const text = part[textField]
  if (typeof text === 'string') return text
  throw new PrefixdError(
    'PREFIXD_E_INVALID_VALUE',
    `${field}.${textField} must be a string, since ${field} is of type "${part.type}".`,
    { field: `${field}.${textField}` },
  )
}

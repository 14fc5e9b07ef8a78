/**
 * Items of the Responses dialect → a chat. Pure. What the model said in one turn (reasoning, text,
 * calls) comes as several items and becomes one assistant message again, so that the next turn's
 * prompt continues this one's.
 */
import { PrefixdError } from '../errors.ts'
import { type Chat, type ChatMessage, type ContentPart, isMarked } from './messages.ts'

export type ResponsesItem = Readonly<Record<string, unknown>>

export interface ResponsesPrompt {
  readonly instructions?: string | null | undefined
  readonly input?: string | readonly ResponsesItem[] | null | undefined
  readonly tools?: readonly ResponsesItem[] | null | undefined
  readonly toolChoice?: 'auto' | 'none'
  readonly effort?: string | null | undefined
  readonly templateArgs?: Readonly<Record<string, unknown>> | null | undefined
}

/** Throws `PREFIXD_E_INVALID_VALUE` or `PREFIXD_E_UNSUPPORTED_PARAMETER`, naming `input[3]…`. */
export function fromResponses(prompt: ResponsesPrompt): Chat {
  const { instructions, input, tools, effort } = prompt
  const messages: ChatMessage[] = []
  if (instructions) messages.push({ role: 'system', content: instructions })
  if (typeof input === 'string') messages.push({ role: 'user', content: input })
  else messages.push(...messagesOf(input ?? []))
  if (messages.length === 0) {
    throw new PrefixdError('PREFIXD_E_INVALID_VALUE', 'input must be a text or have an item.', {
      field: 'input',
      next: 'Send the user message as a string.',
    })
  }
  const templateArgs = {
    ...prompt.templateArgs,
    ...(effort == null ? {} : { reasoning_effort: effort }),
  }
  return {
    messages,
    tools: (tools ?? []).flatMap(toChatTool),
    toolChoice: prompt.toolChoice ?? 'auto',
    ...(Object.keys(templateArgs).length > 0 ? { templateArgs } : {}),
  }
}

/** Codex also sends tools that only OpenAI's servers run (`web_search`), and `namespace`s. */
function toChatTool(tool: ResponsesItem, index: number): object[] {
  if (tool.type !== 'function') return []
  const name = readString(tool, 'name', `tools[${index}]`)
  const { description, parameters } = tool
  return [
    {
      type: 'function',
      function: {
        name,
        ...(description == null ? {} : { description }),
        ...(parameters == null ? {} : { parameters }),
      },
    },
  ]
}

/** What the model said since anybody else did. */
interface Turn {
  reasoning: string | null
  content: readonly ContentPart[] | string | null
  calls: object[]
}

function messagesOf(items: readonly ResponsesItem[]): ChatMessage[] {
  const messages: ChatMessage[] = []
  let turn: Turn | null = null
  const endTurn = () => {
    if (turn !== null) messages.push(toAssistant(turn))
    turn = null
  }
  /** Speech comes after reasoning and before calls; what comes later is said in a new turn. */
  const turnFor = (canJoin: (turn: Turn) => boolean): Turn => {
    if (turn !== null && !canJoin(turn)) endTurn()
    turn ??= { reasoning: null, content: null, calls: [] }
    return turn
  }
  for (const [index, item] of items.entries()) {
    const field = `input[${index}]`
    const type = item.type == null ? 'message' : readString(item, 'type', field)
    if (type === 'reasoning') {
      turnFor((now) => isSilent(now) && now.reasoning === null).reasoning = readReasoning(item)
    } else if (type === 'message' && item.role === 'assistant') {
      turnFor(isSilent).content = readContent(item.content, `${field}.content`)
    } else if (type === 'function_call' || type === 'custom_tool_call') {
      turnFor(() => true).calls.push(readCall(item, field))
    } else if (type === 'message') {
      endTurn()
      messages.push(readMessage(item, field))
    } else if (type === 'function_call_output' || type === 'custom_tool_call_output') {
      endTurn()
      messages.push({
        role: 'tool',
        tool_call_id: readString(item, 'call_id', field),
        content: readContent(item.output, `${field}.output`),
      })
    } else throw unsupportedItem(type, field)
  }
  endTurn()
  return messages
}

const isSilent = ({ content, calls }: Turn): boolean => content === null && calls.length === 0

function toAssistant({ reasoning, content, calls }: Turn): ChatMessage {
  return {
    role: 'assistant',
    content,
    ...(reasoning === null || reasoning === '' ? {} : { reasoning }),
    ...(calls.length === 0 ? {} : { tool_calls: calls }),
  }
}

/** `phase`, `id` and `status` are the protocol's own; templates would not know them. */
function readMessage(item: ResponsesItem, field: string): ChatMessage {
  const role = item.role
  if (role !== 'user' && role !== 'system' && role !== 'developer') {
    throw invalid(`${field}.role`, 'must be "user", "assistant", "system" or "developer"')
  }
  return { role, content: readContent(item.content, `${field}.content`) }
}

function readCall(item: ResponsesItem, field: string): object {
  const id = readString(item, 'call_id', field)
  const name = readString(item, 'name', field)
  const text =
    item.type === 'function_call'
      ? readString(item, 'arguments', field)
      : JSON.stringify({ input: readString(item, 'input', field) })
  return { id, type: 'function', function: { name, arguments: text } }
}

/** It goes with its part until the places of the prompt are counted. */
const breakpointMark = { prompt_cache_breakpoint: {} }

const textTypes: readonly string[] = ['input_text', 'output_text', 'text']

function readContent(content: unknown, field: string): string | ContentPart[] {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) throw invalid(field, 'must be a string or an array of parts')
  return content.map((part: unknown, index) => {
    const place = `${field}[${index}]`
    if (typeof part !== 'object' || part === null) throw invalid(place, 'must be an object')
    const { text, refusal } = part as ResponsesItem
    const type = readString(part as ResponsesItem, 'type', place)
    if (!textTypes.includes(type) && type !== 'refusal') {
      throw new PrefixdError(
        'PREFIXD_E_UNSUPPORTED_PARAMETER',
        `${place} is of type "${type.slice(0, 40)}"; the models served here read text only.`,
        { field: place, next: 'Leave this part out, or describe it in words.' },
      )
    }
    const words = type === 'refusal' ? refusal : text
    if (typeof words !== 'string') {
      throw invalid(`${place}.${type === 'refusal' ? 'refusal' : 'text'}`, 'must be a string')
    }
    return { type: 'text', text: words, ...(isMarked(part) ? breakpointMark : {}) }
  })
}

/**
 * Marks our own `encrypted_content`, which is only encoded: clients must not read meaning in it.
 */
const sealMark = 'prefixd-reasoning-1:'

/** Agents that keep nothing of a reasoning item but `encrypted_content` return the text in it. */
export const sealReasoning = (text: string): string =>
  sealMark + Buffer.from(text).toString('base64url')

/** The text itself, else what we sealed, else the summary. */
function readReasoning({ content, summary, encrypted_content: sealed }: ResponsesItem): string {
  const text = textsOf(content)
  if (text !== '') return text
  if (typeof sealed === 'string' && sealed.startsWith(sealMark)) {
    return Buffer.from(sealed.slice(sealMark.length), 'base64url').toString()
  }
  return textsOf(summary)
}

function textsOf(parts: unknown): string {
  if (!Array.isArray(parts)) return ''
  const texts = parts.map((part) => (part as { text?: unknown } | null)?.text)
  return texts.filter((text) => typeof text === 'string').join('')
}

function readString(item: ResponsesItem, key: string, field: string): string {
  const value = item[key]
  if (typeof value === 'string') return value
  throw invalid(`${field}.${key}`, 'must be a string')
}

const invalid = (field: string, rule: string): PrefixdError =>
  new PrefixdError('PREFIXD_E_INVALID_VALUE', `${field} ${rule}.`, { field })

const unsupportedItem = (type: string, field: string): PrefixdError =>
  new PrefixdError(
    'PREFIXD_E_UNSUPPORTED_PARAMETER',
    `${field} is of type "${type.slice(0, 40)}", which is not supported: nothing is stored here.`,
    { field, next: 'Send messages, reasoning, function calls and their outputs as whole items.' },
  )

/**
 * Anthropic's messages → a chat as templates know it. Pure. Only what is named here reaches the
 * prompt: signatures and ids of a moment never do. `cache_control` goes along with its part as a
 * place, not as text, so that a breakpoint that moves from turn to turn leaves the prompt as it is.
 */
import { PrefixdError, shown } from '../errors.ts'
import { type Chat, type ChatMessage, type ContentPart, isMarked } from './messages.ts'

export type AnthropicBlock = Readonly<Record<string, unknown>> & { readonly type: string }
type Content = string | readonly AnthropicBlock[]

export interface AnthropicChat {
  readonly system?: Content | null | undefined
  readonly messages: readonly { readonly role: string; readonly content: Content }[]
  readonly tools?: readonly unknown[] | null | undefined
  readonly toolChoice?: Chat['toolChoice']
  readonly thinking?: { readonly type: string } | null | undefined
  readonly effort?: string | null | undefined
  /**
   * What system messages behind the first user's become. `user`, for templates that cannot write
   * them: marked text of the user, in the words in which agents send such reminders. Default
   * `system`.
   */
  readonly lateSystem?: 'system' | 'user'
}

/** One message of the template while it is put together. */
interface Draft {
  readonly role: 'system' | 'user' | 'assistant' | 'tool'
  readonly text: string[]
  readonly reasoning: string[]
  readonly toolCalls: object[]
  /** Indexes of the texts that end at a breakpoint, and whether all of the message does. */
  readonly marked: Set<number>
  isMarked: boolean
  /** Of a `tool` message: which call it answers. */
  readonly call?: { readonly id: string; readonly name: string | undefined }
}

/**
 * Text blocks become lines of one message, and consecutive messages of one role become one, as the
 * API says. Throws `PREFIXD_E_UNSUPPORTED_PARAMETER` for blocks that no worker can read, and
 * `PREFIXD_E_INVALID_VALUE` for those without what their type needs; both name the block.
 */
export function fromAnthropic(chat: AnthropicChat): Chat {
  const toolNames = new Map<string, string>()
  const drafts: Draft[] = []
  if (chat.system != null) addSystem(drafts, chat.system, 'system')
  for (const [index, { role, content }] of chat.messages.entries()) {
    const field = `messages[${index}].content`
    const isLate = drafts.some((draft) => draft.role !== 'system')
    if (role === 'system' && isLate && chat.lateSystem === 'user') {
      const reminder = systemTexts(content, field).join('\n')
      const text = `<system-reminder>\n${reminder}\n</system-reminder>`
      addText(draftOf(drafts, 'user'), [text], blocksOf(content).some(isMarked))
    } else if (role === 'system') addSystem(drafts, content, field)
    else if (role === 'assistant') addAssistant(drafts, content, field, toolNames)
    else addUser(drafts, content, field, toolNames)
  }
  const templateArgs = templateArgsOf(chat)
  return {
    messages: drafts.map(toMessage),
    tools: (chat.tools ?? []).flatMap(toFunctionTool),
    toolChoice: chat.toolChoice ?? 'auto',
    // Anthropic's way to begin an answer: the last message is the assistant's own.
    ...(drafts.at(-1)?.role === 'assistant' ? { goesOn: true } : {}),
    ...(Object.keys(templateArgs).length > 0 ? { templateArgs } : {}),
  }
}

/** The draft that this role's next words belong to. */
function draftOf(drafts: Draft[], role: Draft['role'], call?: Draft['call']): Draft {
  const last = drafts.at(-1)
  if (last?.role === role && role !== 'tool') return last
  const draft: Draft = {
    role,
    text: [],
    reasoning: [],
    toolCalls: [],
    marked: new Set(),
    isMarked: false,
    ...(call ? { call } : {}),
  }
  drafts.push(draft)
  return draft
}

/** A breakpoint stands behind the last text that is there by then. */
function addText(draft: Draft, texts: readonly string[], hasMark: boolean): void {
  draft.text.push(...texts)
  if (hasMark) draft.marked.add(draft.text.length - 1)
}

const blocksOf = (content: Content): readonly AnthropicBlock[] =>
  typeof content === 'string' ? [{ type: 'text', text: content }] : content

function addSystem(drafts: Draft[], content: Content, field: string): void {
  const texts = systemTexts(content, field)
  const draft = draftOf(drafts, 'system')
  for (const [index, block] of blocksOf(content).entries()) {
    addText(draft, texts.slice(index, index + 1), isMarked(block))
  }
}

function systemTexts(content: Content, field: string): readonly string[] {
  return [...placed(content, field)].map(([block, place]) => {
    if (block.type !== 'text') throw unreadable(block, place, ['text'])
    return text(block, 'text', place)
  })
}

function addUser(
  drafts: Draft[],
  content: Content,
  field: string,
  toolNames: ReadonlyMap<string, string>,
): void {
  for (const [block, place] of placed(content, field)) {
    const inside = Array.isArray(block.content) ? block.content : []
    const hasMark = [block, ...inside].some(isMarked)
    if (block.type === 'text') {
      addText(draftOf(drafts, 'user'), [text(block, 'text', place)], hasMark)
    } else if (block.type === 'document') {
      addText(draftOf(drafts, 'user'), [documentText(block, place)], hasMark)
    } else if (block.type === 'tool_result') {
      const id = text(block, 'tool_use_id', place)
      const draft = draftOf(drafts, 'tool', { id, name: toolNames.get(id) })
      const result = resultText(block.content, `${place}.content`, true)
      addText(draft, block.is_error === true ? asError(result) : result, hasMark)
    } else throw unreadable(block, place, ['text', 'document', 'tool_result'])
  }
}

function addAssistant(
  drafts: Draft[],
  content: Content,
  field: string,
  toolNames: Map<string, string>,
): void {
  const draft = draftOf(drafts, 'assistant')
  for (const [block, place] of placed(content, field)) {
    if (block.type === 'text') addText(draft, [text(block, 'text', place)], isMarked(block))
    else if (block.type === 'thinking') draft.reasoning.push(text(block, 'thinking', place))
    else if (block.type === 'tool_use') {
      const id = text(block, 'id', place)
      const name = text(block, 'name', place)
      toolNames.set(id, name)
      // An object, so that the template writes it as the model was taught to write it.
      const call = { name, arguments: objectIn(block, 'input', place) }
      draft.toolCalls.push({ id, type: 'function', function: call })
      if (isMarked(block)) draft.isMarked = true
    } else if (block.type !== 'redacted_thinking') {
      // What is redacted was encrypted by another service; nobody here can read it.
      throw unreadable(block, place, ['text', 'thinking', 'tool_use'])
    }
  }
}

function* placed(content: Content, field: string): Generator<[AnthropicBlock, string]> {
  for (const [index, block] of blocksOf(content).entries()) {
    yield [block, typeof content === 'string' ? field : `${field}[${index}]`]
  }
}

/** `nests`: documents may stand in it; they themselves hold text alone. */
function resultText(content: unknown, field: string, nests: boolean): readonly string[] {
  if (content === undefined || content === null) return []
  if (typeof content === 'string') return [content]
  if (!Array.isArray(content)) throw invalid(field, 'a string or an array of blocks')
  return content.map((block: unknown, index) => {
    const place = `${field}[${index}]`
    if (!isBlock(block)) throw invalid(place, 'an object with a type')
    if (block.type === 'document' && nests) return documentText(block, place)
    if (block.type !== 'text') throw unreadable(block, place, ['text'])
    return text(block, 'text', place)
  })
}

/** Templates have no word for a tool that failed, so its result says it, unless it does already. */
const asError = (texts: readonly string[]): readonly string[] =>
  texts.some((each) => /error/i.test(each)) ? texts : ['Error:', ...texts]

/** A document that is text, between tags that say where it begins and ends. */
function documentText(block: AnthropicBlock, place: string): string {
  const source = objectIn(block, 'source', place) as AnthropicBlock
  const words = { title: block.title, context: block.context }
  const head = Object.entries(words).flatMap(([name, value]) =>
    typeof value === 'string' && value !== '' ? [`${name}: ${value}`] : [],
  )
  const lines = ['<document>', ...head, ...sourceText(source, `${place}.source`), '</document>']
  return lines.join('\n')
}

function sourceText(source: AnthropicBlock, place: string): readonly string[] {
  if (source.type === 'text') return [text(source, 'data', place)]
  if (source.type === 'content') return resultText(source.content, `${place}.content`, false)
  throw unreadable({ type: String(source.type) }, place, ['text', 'content'])
}

const isBlock = (value: unknown): value is AnthropicBlock =>
  typeof value === 'object' &&
  value !== null &&
  typeof (value as { type?: unknown }).type === 'string'

/** What carries a breakpoint from here to where the places of the prompt are counted. */
const breakpointMark = { cache_control: {} }

function toMessage({ role, text, reasoning, toolCalls, call, ...draft }: Draft): ChatMessage {
  return {
    role,
    content: asLines(text, draft.marked),
    ...(draft.isMarked ? breakpointMark : {}),
    ...(reasoning.length > 0 ? { reasoning: reasoning.join('\n') } : {}),
    ...(toolCalls.length > 0 ? { tool_calls: toolCalls } : {}),
    ...(call === undefined ? {} : { tool_call_id: call.id }),
    ...(call?.name === undefined ? {} : { name: call.name }),
  }
}

/**
 * Blocks stand apart in Anthropic's prompts. The line break belongs to the part before it: when
 * hygiene removes a part, its line goes too.
 */
function asLines(texts: readonly string[], marked: ReadonlySet<number>): readonly ContentPart[] {
  return texts.map((each, index) => {
    const next = texts[index + 1]
    const isApart = next === undefined || each === '' || each.endsWith('\n') || next[0] === '\n'
    const line = isApart ? each : `${each}\n`
    return { type: 'text', text: line, ...(marked.has(index) ? breakpointMark : {}) }
  })
}

/** Tools with a type of their own run on a vendor's servers; templates know functions. */
function toFunctionTool(tool: unknown, index: number): readonly object[] {
  const { type, name, description, input_schema: schema } = tool as Record<string, unknown>
  if (type !== undefined && type !== null && type !== 'custom') return []
  const field = `tools[${index}]`
  if (typeof name !== 'string') throw invalid(`${field}.name`, 'a string')
  if (typeof schema !== 'object' || schema === null) {
    throw invalid(`${field}.input_schema`, 'an object')
  }
  const described = typeof description === 'string' ? { description } : {}
  const mark = isMarked(tool) ? breakpointMark : {}
  return [{ type: 'function', function: { name, ...described, parameters: schema }, ...mark }]
}

/** Qwen and GLM ask for `enable_thinking`, DeepSeek and Granite for `thinking`. */
function templateArgsOf({ thinking, effort }: AnthropicChat): Record<string, unknown> {
  const thinks = thinking == null ? null : thinking.type !== 'disabled'
  return {
    ...(thinks === null ? {} : { enable_thinking: thinks, thinking: thinks }),
    ...(effort == null ? {} : { reasoning_effort: effort }),
  }
}

function text(block: AnthropicBlock, key: string, place: string): string {
  const value = block[key]
  if (typeof value === 'string') return value
  throw invalid(`${place}.${key}`, 'a string', block.type)
}

function objectIn(block: AnthropicBlock, key: string, place: string): object {
  const value = block[key]
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  throw invalid(`${place}.${key}`, 'an object', block.type)
}

const invalid = (field: string, allowed: string, type?: string): PrefixdError =>
  new PrefixdError(
    'PREFIXD_E_INVALID_VALUE',
    `${field} must be ${allowed}${type === undefined ? '' : ` in a block of type "${type}"`}.`,
    { field },
  )

function unreadable(block: AnthropicBlock, field: string, readable: readonly string[]): Error {
  const types = readable.map((type) => `"${type}"`).join(', ')
  return new PrefixdError(
    'PREFIXD_E_UNSUPPORTED_PARAMETER',
    `${field} is of type "${shown(block.type)}"; what is read here is ${types}.`,
    { field, next: 'Leave this block out, or describe it in words.' },
  )
}

/**
 * A chat → the same chat in the words that the model's template reads, so that the next turn's
 * prompt goes on where this one's answer ended. What the template cannot say is said in text, in
 * the model's own format. Pure.
 */
import { createHash } from 'node:crypto'
import type { RenderInput } from '../../../engines/types.ts'
import { limits } from '../../config/limits.ts'
import { toolShapesOf } from '../answer/tool-shapes.ts'
import type { AnswerFormat } from '../answer/types.ts'
import { isNestedDeeper } from '../nesting.ts'
import type { TemplateHabits } from './habits.ts'

type Message = Readonly<Record<string, unknown>>
interface Call {
  readonly id?: unknown
  readonly function?: { readonly name?: unknown; readonly arguments?: unknown }
}

/** A chat of plain messages looks the same to every template. */
export function needsFitting({ messages, tools }: RenderInput): boolean {
  return (
    (tools?.length ?? 0) > 0 ||
    messages.some(
      (message) =>
        message.role === 'tool' ||
        message.tool_calls !== undefined ||
        message.reasoning_content !== undefined,
    )
  )
}

export function fitToTemplate(
  input: RenderInput,
  habits: TemplateHabits,
  format: AnswerFormat,
): RenderInput {
  const { tools, ...chat } = input
  const split = habits.oneCallAMessage ? oneCallAMessage(chat.messages) : chat.messages
  const fitted = split.map((message) => {
    if (message.role === 'assistant') return fitAssistant(message, habits, format)
    return message.role === 'tool' && habits.shortIds ? withShortId(message) : message
  })
  const messages = habits.writesResults ? fitted : resultsAsText(fitted)
  if (tools === undefined || tools.length === 0) return { ...chat, messages }
  if (habits.writesTools) return { ...chat, messages, tools }
  return { ...chat, messages: withToolsAsText(messages, tools, habits, format) }
}

/** Each call with its own result behind it. Linear: a session may have thousands of both. */
function oneCallAMessage(messages: readonly Message[]): Message[] {
  const taken = new Set<Message>()
  return messages.flatMap((message, index) => {
    const calls = callsOf(message)
    if (calls.length < 2) return taken.has(message) ? [] : [message]
    const resultsOf = resultsBehind(messages, index)
    return calls.flatMap((call, callIndex) => {
      const results = resultsOf.get(call.id) ?? []
      // A second call of the same id has no result of its own.
      resultsOf.delete(call.id)
      for (const each of results) taken.add(each)
      const content = callIndex === 0 ? message.content : ''
      return [{ ...message, content, tool_calls: [call] }, ...results]
    })
  })
}

/** By the ids of their calls. Those behind the next answer are of its calls: ids come again. */
function resultsBehind(messages: readonly Message[], index: number): Map<unknown, Message[]> {
  const found = new Map<unknown, Message[]>()
  for (let at = index + 1; at < messages.length; at += 1) {
    const message = messages[at] as Message
    if (message.role === 'assistant') break
    if (message.role !== 'tool') continue
    const same = found.get(message.tool_call_id) ?? []
    same.push(message)
    found.set(message.tool_call_id, same)
  }
  return found
}

const callsOf = ({ tool_calls: calls }: Message): Call[] => (Array.isArray(calls) ? calls : [])

function fitAssistant(message: Message, habits: TemplateHabits, format: AnswerFormat): Message {
  const { reasoning_content: reasoning, tool_calls: _, ...rest } = message
  const calls = callsOf(message)
  const text = typeof rest.content === 'string' ? rest.content : ''
  const canWrite = habits.writesCalls && (text === '' || !habits.callsWantNull)
  const isWritten = calls.length > 0 && canWrite
  const said = calls.length === 0 || isWritten ? text : textWithCalls(text, calls, format)
  return {
    ...rest,
    ...reasoningFields(format.reasons ? reasoning : null, said, isWritten, habits),
    ...(isWritten && habits.callsWantNull ? { content: null } : {}),
    ...(isWritten ? { tool_calls: calls.map((call) => fitCall(call, habits)) } : {}),
  }
}

/** With the content, since reasoning may have to stand in it. */
function reasoningFields(
  reasoning: unknown,
  text: string,
  hasCalls: boolean,
  habits: TemplateHabits,
): Message {
  const content = { content: text }
  if (typeof reasoning !== 'string' || reasoning === '' || habits.reasoning === null) return content
  if (habits.reasoning === 'inline') {
    return { content: `<think>\n${reasoning}\n</think>\n\n${text}` }
  }
  if (habits.reasoningExcludesText && hasCalls && text !== '') return content
  return { ...content, [habits.reasoning]: reasoning }
}

function fitCall(call: Call, { arguments: wanted, shortIds }: TemplateHabits): Call {
  const args = call.function?.arguments
  const fitted = wanted === 'text' ? textOf(args) : typeof args === 'string' ? objectOf(args) : args
  return {
    ...call,
    ...(shortIds && typeof call.id === 'string' ? { id: shortId(call.id) } : {}),
    function: { ...call.function, arguments: fitted },
  }
}

/**
 * Arguments that are no object, as a cut-off answer leaves them, stay the text that they are; so do
 * those that are too deep for templates to follow.
 */
function objectOf(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text === '' ? '{}' : text)
    const isObject = typeof value === 'object' && value !== null
    return isObject && !isNestedDeeper(value, limits.bodyLevels) ? value : text
  } catch {
    return text
  }
}

function withShortId(message: Message): Message {
  const { tool_call_id: id } = message
  return typeof id === 'string' ? { ...message, tool_call_id: shortId(id) } : message
}

/** Always the same nine letters and digits for one id. */
function shortId(id: string): string {
  if (/^[a-zA-Z0-9]{9}$/.test(id)) return id
  return createHash('sha256').update(id).digest('hex').slice(0, 9)
}

function textWithCalls(text: string, calls: readonly Call[], format: AnswerFormat): string {
  const written = calls.map(({ function: called }) => ({
    name: String(called?.name),
    arguments: textOf(called?.arguments),
  }))
  return format.write(text, written)
}

/** Text stays as it is; objects, which Anthropic's dialect has, become what models write. */
const textOf = (args: unknown): string =>
  typeof args === 'string' ? args : jsonLikeModels(args ?? {}, 0)

const nestingMax = 64

/** JSON with Python's spaces, which models have learnt and templates write. */
function jsonLikeModels(value: unknown, depth: number): string {
  if (typeof value !== 'object' || value === null || depth > nestingMax) {
    return JSON.stringify(value) ?? 'null'
  }
  const inner = (each: unknown): string => jsonLikeModels(each, depth + 1)
  if (Array.isArray(value)) return `[${value.map(inner).join(', ')}]`
  const members = Object.entries(value).map(
    ([key, each]) => `${JSON.stringify(key)}: ${inner(each)}`,
  )
  return `{${members.join(', ')}}`
}

/** Results of one turn go together: many templates want users and assistants to alternate. */
function resultsAsText(messages: readonly Message[]): Message[] {
  const fitted: Message[] = []
  let isResult = false
  for (const message of messages) {
    if (message.role !== 'tool') {
      fitted.push(message)
      isResult = false
      continue
    }
    const content = `<tool_response>\n${String(message.content)}\n</tool_response>`
    const last = isResult ? fitted.pop() : undefined
    fitted.push({ role: 'user', content: last ? `${last.content}\n${content}` : content })
    isResult = true
  }
  return fitted
}

/** In the first message, so that all turns share it. */
function withToolsAsText(
  messages: readonly Message[],
  tools: readonly unknown[],
  { writesSystem }: TemplateHabits,
  format: AnswerFormat,
): Message[] {
  const text = toolsAsText(tools, format)
  const role = writesSystem ? 'system' : 'user'
  const [first, ...others] = messages
  if (first?.role !== role) return [{ role, content: text }, ...messages]
  return [{ ...first, content: `${String(first.content)}\n\n${text}` }, ...others]
}

function toolsAsText(tools: readonly unknown[], format: AnswerFormat): string {
  const example = format.write('', [{ name: 'NAME', arguments: '{"KEY": "VALUE"}' }])
  const functions = tools.map((tool) => {
    const inner = (tool as { function?: unknown }).function
    return JSON.stringify(inner ?? tool)
  })
  const names = toolShapesOf(tools).map(({ name }) => name)
  return [
    'You can call these functions, with arguments that follow their JSON schemas:',
    ...functions,
    `To call one of ${names.join(', ')}, write nothing but:`,
    example,
  ].join('\n')
}

/**
 * What a chat template reads and writes, found by rendering small chats with it. Templates differ
 * in all of this, and what one ignores or refuses another one needs.
 */
import type { RenderInput } from '../../../engines/types.ts'

export interface TemplateHabits {
  /** How it wants a call's arguments: as the text that they are, or as an object. */
  readonly arguments: 'text' | 'object'
  /** The field in which it reads reasoning; `inline`: it keeps what stands in the content. */
  readonly reasoning: (typeof reasoningFields)[number] | 'inline' | null
  /** It refuses reasoning beside text in a message with calls. */
  readonly reasoningExcludesText: boolean
  /** It writes the request's tools into the prompt. */
  readonly writesTools: boolean
  /** It writes calls of earlier turns; */
  readonly writesCalls: boolean
  /** but only where the message's content is null, */
  readonly callsWantNull: boolean
  /** and refuses several in one message. */
  readonly oneCallAMessage: boolean
  /** It writes what the tools answered. */
  readonly writesResults: boolean
  readonly writesSystem: boolean
  /** It refuses ids of calls that have not exactly nine letters and digits. */
  readonly shortIds: boolean
}

type Message = Readonly<Record<string, unknown>>
type Render = (input: RenderInput) => Promise<string>

const reasoningFields = ['reasoning_content', 'thinking', 'reasoning'] as const
const templateError = 'PREFIXD_E_ENGINE_TEMPLATE'

const user: Message = { role: 'user', content: 'QUESTION' }
const argumentsText = '{"KEY": "VALUE"}'
const shortId = 'abcdefgh1'
const result = 'RESULT'
const atEnd = { addGenerationPrompt: true }
const tools = [
  {
    type: 'function',
    function: {
      name: 'TOOLNAME',
      description: 'TOOLTEXT',
      parameters: { type: 'object', properties: { KEY: { type: 'string', description: 'k' } } },
    },
  },
]

interface Loop {
  readonly arguments: unknown
  readonly id?: string
  readonly calls?: number
  readonly message?: Message
}

/** A question, a call, its result: what templates keep of reasoning they keep here. */
function toolLoop({ arguments: args, id = shortId, calls = 1, message }: Loop): RenderInput {
  const call = { id, type: 'function', function: { name: 'CALLNAME', arguments: args } }
  const toolCalls = new Array(calls).fill(call)
  return {
    messages: [
      user,
      { role: 'assistant', content: '', tool_calls: toolCalls, ...message },
      ...toolCalls.map(() => ({
        role: 'tool',
        tool_call_id: id,
        name: 'CALLNAME',
        content: result,
      })),
    ],
    tools,
    ...atEnd,
  }
}

type Attempt = (input: RenderInput) => Promise<string | null>

/** About a dozen renderings of a few hundred bytes. Throws what is no refusal of the template's. */
export async function learnHabits(render: Render): Promise<TemplateHabits> {
  const attempt: Attempt = async (input) => {
    try {
      return await render(input)
    } catch (error) {
      if ((error as { code?: unknown }).code === templateError) return null
      throw error
    }
  }
  const withEmpty = await learnCalls(attempt, {})
  const callsWantNull = withEmpty === null
  const calls = withEmpty ?? (await learnCalls(attempt, { content: null }))
  const loop = (more: Omit<Loop, 'arguments'>): Promise<string | null> =>
    attempt(toolLoop({ arguments: calls?.value ?? {}, message: calls?.empty ?? {}, ...more }))
  const withoutCall = (message: Message): RenderInput => ({
    messages: [user, { role: 'assistant', content: '', ...message }],
    addGenerationPrompt: false,
  })
  const say = (message: Message): Promise<string | null> =>
    calls === null
      ? attempt(withoutCall(message))
      : loop({ message: { ...calls.empty, ...message } })
  const reasoning = await learnReasoning(say, (content) =>
    attempt({ messages: [user, { role: 'assistant', content }, user], ...atEnd }),
  )
  const field = reasoning === null || reasoning === 'inline' ? null : reasoning
  const system = { messages: [{ role: 'system', content: 'SYSTEM' }, user] }
  const longId = `call_${'0123456789ab'.repeat(2)}`
  return {
    arguments: calls?.kind ?? 'text',
    reasoning,
    reasoningExcludesText: field !== null && (await say({ content: 'T', [field]: 'R' })) === null,
    writesTools: has(await attempt({ messages: [user], tools, ...atEnd }), 'TOOLNAME'),
    writesCalls: calls !== null,
    callsWantNull: callsWantNull && calls !== null,
    oneCallAMessage: calls !== null && (await loop({ calls: 2 })) === null,
    writesResults: has(await loop({}), result),
    writesSystem: has(await attempt({ ...system, ...atEnd }), 'SYSTEM'),
    shortIds: calls !== null && (await loop({ id: longId })) === null,
  }
}

interface Calls {
  readonly kind: TemplateHabits['arguments']
  /** Arguments of that kind. */
  readonly value: unknown
  /** The content that a message with calls alone has. */
  readonly empty: Message
}

/** Null where the template writes no calls beside such a content. */
async function learnCalls(attempt: Attempt, empty: Message): Promise<Calls | null> {
  const value: unknown = JSON.parse(argumentsText)
  const fromObject = await attempt(toolLoop({ arguments: value, message: empty }))
  const fromText = await attempt(toolLoop({ arguments: argumentsText, message: empty }))
  const readsText = has(fromText, argumentsText) && has(fromText, 'CALLNAME')
  const readsObject = ['KEY', 'VALUE', 'CALLNAME'].every((word) => has(fromObject, word))
  // Text that comes out as an object does has been read, not merely printed.
  if (readsText && (!readsObject || isSameButSpace(fromObject, fromText))) {
    return { kind: 'text', value: argumentsText, empty }
  }
  return readsObject ? { kind: 'object', value, empty } : null
}

const isSameButSpace = (a: string | null, b: string | null): boolean =>
  a?.replaceAll(/\s/g, '') === b?.replaceAll(/\s/g, '')

const has = (text: string | null, word: string): boolean => text?.includes(word) === true

async function learnReasoning(
  attempt: (message: Message) => Promise<string | null>,
  attemptText: (content: string) => Promise<string | null>,
): Promise<TemplateHabits['reasoning']> {
  for (const field of reasoningFields) {
    if (has(await attempt({ [field]: 'THOUGHT' }), 'THOUGHT')) return field
  }
  const content = '<think>\nTHOUGHT\n</think>\n\nT'
  const keeps = has(await attempt({ content }), content) && has(await attemptText(content), content)
  return keeps ? 'inline' : null
}

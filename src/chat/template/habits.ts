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
  /** It writes calls of earlier turns, */
  readonly writesCalls: boolean
  /** and what the tools answered. */
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
  readonly message?: Message
}

/** A question, a call, its result: what templates keep of reasoning they keep here. */
function toolLoop({ arguments: args, id = shortId, message }: Loop): RenderInput {
  const call = { id, type: 'function', function: { name: 'CALLNAME', arguments: args } }
  return {
    messages: [
      user,
      { role: 'assistant', content: '', tool_calls: [call], ...message },
      { role: 'tool', tool_call_id: id, name: 'CALLNAME', content: 'RESULT' },
    ],
    tools,
    addGenerationPrompt: true,
  }
}

/** About ten renderings of a few hundred bytes. Throws what is no refusal of the template's. */
export async function learnHabits(render: Render): Promise<TemplateHabits> {
  const attempt = async (input: RenderInput): Promise<string | null> => {
    try {
      return await render(input)
    } catch (error) {
      if ((error as { code?: unknown }).code === templateError) return null
      throw error
    }
  }
  const fromObject = await attempt(toolLoop({ arguments: JSON.parse(argumentsText) }))
  const fromText = await attempt(toolLoop({ arguments: argumentsText }))
  const readsText = fromText?.includes(argumentsText) === true
  const readsObject = fromObject?.includes('KEY') === true && fromObject.includes('VALUE')
  const isText = readsText && (!readsObject || fromObject === fromText)
  const loop = isText ? fromText : fromObject
  const args = isText ? argumentsText : JSON.parse(argumentsText)
  const withCall = (message: Message) => toolLoop({ arguments: args, message })
  const withoutCall = (message: Message): RenderInput => ({
    messages: [user, { role: 'assistant', content: '', ...message }],
    addGenerationPrompt: false,
  })
  const writesCalls = loop?.includes('CALLNAME') === true && (readsText || readsObject)
  const assistant = writesCalls ? withCall : withoutCall
  const reasoning = await findReasoning((message) => attempt(assistant(message)))
  const field = reasoning === null || reasoning === 'inline' ? null : reasoning
  const both = field === null ? '' : await attempt(assistant({ content: 'T', [field]: 'R' }))
  const system = { messages: [{ role: 'system', content: 'SYSTEM' }, user] }
  const longId = `call_${'0123456789ab'.repeat(2)}`
  return {
    arguments: isText ? 'text' : 'object',
    reasoning,
    reasoningExcludesText: both === null,
    writesTools: has(
      await attempt({ messages: [user], tools, addGenerationPrompt: true }),
      'TOOLNAME',
    ),
    writesCalls,
    writesResults: has(loop, 'RESULT'),
    writesSystem: has(await attempt({ ...system, addGenerationPrompt: true }), 'SYSTEM'),
    shortIds: loop !== null && (await attempt(toolLoop({ arguments: args, id: longId }))) === null,
  }
}

const has = (text: string | null, word: string): boolean => text?.includes(word) === true

async function findReasoning(
  attempt: (message: Message) => Promise<string | null>,
): Promise<TemplateHabits['reasoning']> {
  for (const field of reasoningFields) {
    if (has(await attempt({ [field]: 'THOUGHT' }), 'THOUGHT')) return field
  }
  const content = '<think>\nTHOUGHT\n</think>\n\nT'
  return has(await attempt({ content }), '<think>\nTHOUGHT\n</think>') ? 'inline' : null
}

/**
 * Functions, as OpenAI's dialect had them before tools: old chains still send `functions`, and
 * messages with a `function_call`. They become tools before anything else looks at the request, and
 * the answer's call goes back in the old shape. Pure.
 */
import { PrefixdError } from '../../errors.ts'
import type { ChatFields } from './schema.ts'

type Message = Readonly<Record<string, unknown>>

interface LegacyFields {
  readonly functions?: readonly object[] | null
  readonly function_call?: string | { readonly name: string } | null
}
type ModernFields = Pick<ChatFields, 'messages' | 'tools' | 'parallel_tool_calls'>

/** Is the answer wanted in the old shape? */
export const asksForFunctions = ({ functions }: LegacyFields): boolean =>
  (functions?.length ?? 0) > 0

/**
 * The same body in the words of tools; the body itself where it has nothing old. Throws
 * `PREFIXD_E_INVALID_VALUE` where both are used at once: it would be a guess which one counts.
 */
export function withoutLegacy<Body extends ModernFields & LegacyFields>(body: Body): Body {
  const { functions, function_call: choice, ...rest } = body
  const messages = toToolMessages(body.messages)
  if (!asksForFunctions(body)) {
    return messages === body.messages ? body : { ...body, messages }
  }
  if ((body.tools?.length ?? 0) > 0) {
    throw new PrefixdError('PREFIXD_E_INVALID_VALUE', 'functions and tools exclude each other.', {
      field: 'functions',
      next: 'Use `tools`.',
    })
  }
  return {
    ...rest,
    messages,
    tools: (functions ?? []).map((each) => ({ type: 'function', function: each })),
    ...(choice == null ? {} : { tool_choice: toToolChoice(choice) }),
    // The old shape has room for one call.
    parallel_tool_calls: false,
  } as unknown as Body
}

const toToolChoice = (choice: string | { readonly name: string }) =>
  typeof choice === 'string' ? choice : { type: 'function', function: { name: choice.name } }

/** Ids that the old shape lacks are counted, so that every turn renders the same ones. */
function toToolMessages<T extends Message>(messages: readonly T[]): T[] {
  const isOld = ({ role, function_call }: Message) => role === 'function' || function_call != null
  if (!messages.some(isOld)) return messages as T[]
  let callCount = 0
  return messages.map((message) => {
    if (message.role === 'function') {
      return { ...message, role: 'tool', tool_call_id: `call_${callCount}` }
    }
    if (message.function_call == null) return message
    callCount += 1
    const { function_call: called, ...rest } = message
    const call = { id: `call_${callCount}`, type: 'function', function: called }
    return { ...rest, tool_calls: [call] } as unknown as T
  })
}

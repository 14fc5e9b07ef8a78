/** One run of `service.generate`, as the routes see it: the plan, then text, then the receipt. */
import { PrefixdError } from '../errors.ts'
import type {
  FinishReason,
  GenerateEvent,
  GenerateRequest,
  Receipt,
  Service,
  TextToken,
} from '../pipeline/types.ts'

export type PlannedEvent = Extract<GenerateEvent, { type: 'planned' }>
export type AnswerEvent = Exclude<GenerateEvent, PlannedEvent>

export interface Answer {
  readonly planned: PlannedEvent
  /** May be iterated once. */
  readonly events: AsyncGenerator<AnswerEvent>
}

export interface ToolCall {
  readonly id: string
  readonly name: string
  /** JSON as the model wrote it. */
  readonly arguments: string
}

/** One of the answers to a prompt. */
export interface Choice {
  readonly text: string
  /** What the text is made of, where logprobs were wanted. */
  readonly tokens: readonly TextToken[]
  readonly reasoning: string
  readonly toolCalls: readonly ToolCall[]
  readonly finishReason: FinishReason
  readonly stopString: string | null
}

export interface Outcome extends Choice {
  readonly receipt: Receipt
}

/**
 * Resolves with the plan, before any prefill, so that whatever is wrong with the request is still a
 * plain HTTP error. Rejects with a typed error, or with the signal's reason once it has aborted.
 */
export async function openAnswer(
  service: Service,
  request: GenerateRequest,
  signal: AbortSignal,
): Promise<Answer> {
  signal.throwIfAborted()
  const iterator = service.generate(request, signal)[Symbol.asyncIterator]()
  // A run that waits for its reader does not see the abort by itself; this lets its sequence go.
  signal.addEventListener('abort', () => void end(iterator), { once: true })
  const first = await nextEvent(iterator, signal)
  if (first?.type !== 'planned') {
    signal.throwIfAborted()
    throw brokenPromise('it did not begin with its plan')
  }
  return { planned: first, events: remainingEvents(iterator, signal) }
}

/** The whole answer of a request that wants one. */
export async function collectAnswer(answer: Answer): Promise<Outcome> {
  const { choices, receipt } = await collectChoices(answer)
  const [choice] = choices
  if (choice === undefined) throw brokenPromise('it ended without an answer')
  return { ...choice, receipt }
}

export async function collectChoices(
  answer: Answer,
): Promise<{ readonly choices: readonly Choice[]; readonly receipt: Receipt }> {
  const choices = [openChoice()]
  for await (const event of answer.events) {
    if (event.type === 'choice') choices.push(openChoice())
    else if (event.type !== 'receipt') choices.at(-1)?.take(event)
    else return { choices: choices.map((choice) => choice.whole()), receipt: event.receipt }
  }
  throw brokenPromise('it ended without a receipt')
}

/** Puts the events of one choice together. */
function openChoice() {
  let text = ''
  let reasoning = ''
  const tokens: TextToken[] = []
  const toolCalls: { id: string; name: string; arguments: string }[] = []
  let finishReason: FinishReason = 'stop'
  let stopString: string | null = null
  return {
    take(event: AnswerEvent): void {
      if (event.type === 'text') {
        text += event.text
        for (const token of event.tokens ?? []) tokens.push(token)
      }
      if (event.type === 'reasoning') reasoning += event.text
      if (event.type === 'tool_call') {
        toolCalls.push({ id: event.id, name: event.name, arguments: '' })
      }
      if (event.type === 'tool_arguments') {
        const call = toolCalls[event.index]
        if (call === undefined) throw brokenPromise('arguments came before their call')
        call.arguments += event.text
      }
      if (event.type === 'finish') {
        finishReason = event.finishReason
        stopString = event.stopString ?? null
      }
    },
    whole: (): Choice => ({ text, tokens, reasoning, toolCalls, finishReason, stopString }),
  }
}

async function* remainingEvents(
  iterator: AsyncIterator<GenerateEvent>,
  signal: AbortSignal,
): AsyncGenerator<AnswerEvent> {
  let ended = false
  try {
    for (;;) {
      const event = await nextEvent(iterator, signal)
      if (event === null) break
      if (event.type !== 'planned') yield event
    }
    ended = true
    // An aborted run may also just end; whoever waits for a receipt must learn why there is none.
    signal.throwIfAborted()
  } catch (error) {
    ended = true
    throw error
  } finally {
    if (!ended) await end(iterator)
  }
}

/** Null at the end. Engines and timers say "aborted" in many words; the reason is the true one. */
async function nextEvent(
  iterator: AsyncIterator<GenerateEvent>,
  signal: AbortSignal,
): Promise<GenerateEvent | null> {
  try {
    const step = await iterator.next()
    return step.done ? null : step.value
  } catch (error) {
    signal.throwIfAborted()
    throw error
  }
}

/** What fails while it ends has been reported where its events are read. */
async function end(iterator: AsyncIterator<GenerateEvent>): Promise<void> {
  await Promise.resolve(iterator.return?.()).catch(() => {})
}

export const brokenPromise = (what: string) =>
  new PrefixdError('PREFIXD_E_INTERNAL', `The pipeline broke its promise: ${what}.`)

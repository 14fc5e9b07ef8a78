/** The service's side of one `generate` call: events for its reader, reservations for its sink. */
import { type Calls, errorOf, type OpenCall } from './calls.ts'
import type { EngineError } from './errors.ts'
import { protocolError } from './frames.ts'
import type { CallReply, ToWorker } from './messages.ts'
import { createReservations } from './reservations.ts'
import type { ArenaView, GenerateEvent, GenerateInput, RecordSink } from './types.ts'

export interface GenerationOptions {
  readonly calls: Calls
  readonly sequence: number
  readonly input: GenerateInput
  readonly sink: RecordSink
  readonly signal: AbortSignal
  /** Where carried records are copied to; null when the worker writes into the arena itself. */
  readonly carriedInto: ArenaView | null
  readonly log: (line: string) => void
}

/** One running request of a sequence. */
export interface Generation {
  /** Ends with `done`, or throws. Whoever stops reading early cancels the request. */
  readonly events: AsyncGenerator<GenerateEvent>
  cancel(): void
  /** Resolves, never rejects, when the worker touches no more bytes for this request. */
  readonly over: Promise<void>
}

/** Sends the request at once; its events wait for their reader. */
export function startGeneration(options: GenerationOptions): Generation {
  const { calls, input, signal } = options
  const { sequence } = options
  const unset = { ignoreEnd: false, logits: false, grammar: null, topLogprobs: null }
  const { logitBias = [], boundaries = [], ...rest } = input
  const lists = { logitBias: [...logitBias], boundaries: [...boundaries] }
  const request = { ...unset, ...rest, ...lists, type: 'generate', sequence } as const
  const call = calls.open(request, (id, send) => createGenerationCall(id, send, options))
  signal.addEventListener('abort', call.cancel)
  if (signal.aborted) call.cancel()
  void call.over.then(() => signal.removeEventListener('abort', call.cancel))
  return { events: readEvents(call), cancel: call.cancel, over: call.over }
}

async function* readEvents(call: GenerationCall): AsyncGenerator<GenerateEvent> {
  try {
    for (;;) {
      const event = await call.next()
      yield event
      if (event.type === 'done') return
    }
  } finally {
    call.cancel()
    await call.over
  }
}

interface GenerationCall extends OpenCall {
  /** Rejects when the request failed. */
  next(): Promise<GenerateEvent>
  cancel(): void
  readonly over: Promise<void>
}

function createGenerationCall(
  id: number,
  send: (message: ToWorker) => void,
  options: GenerationOptions,
): GenerationCall {
  const events = createEventQueue(eventsMax(options.input))
  const reservations = createReservations({ ...options, id, send })
  const over = Promise.withResolvers<void>()
  let ended = false
  let cancelled = false

  const end = (): void => {
    ended = true
    reservations.close()
    over.resolve()
  }

  return {
    over: over.promise,
    next: events.next,
    cancel() {
      if (ended || cancelled) return
      cancelled = true
      send({ type: 'cancel', id })
    },
    receive(reply, payload) {
      switch (reply.type) {
        case 'reserve':
          reservations.reserve(reply)
          return false
        case 'exported':
          reservations.exported(reply, payload)
          return false
        case 'abandoned':
          reservations.abandoned(reply.reservation)
          return false
        case 'error':
          end()
          events.fail(errorOf(reply))
          return true
        case 'done':
          if (reservations.openCount > 0) throw protocolError('`done` with open reservations')
          end()
          events.push(eventOf(reply))
          return true
        case 'prefill':
        case 'token':
          events.push(eventOf(reply))
          return false
        default:
          throw protocolError(`\`${reply.type}\` answers \`generate\``)
      }
    },
    fail(error) {
      end()
      events.fail(error)
    },
  }
}

type EventReply = Extract<CallReply, { type: 'prefill' | 'token' | 'done' }>

function eventOf(reply: EventReply): GenerateEvent {
  const { id: _id, ...event } = reply
  if (event.type !== 'token') return event
  const { logits, logprobs, ...token } = event
  return { ...token, ...(logits && { logits }), ...(logprobs && { logprobs }) }
}

/** A call for each prompt token at worst, a token event for each that was asked for, and `done`. */
function eventsMax({ tokens, maxTokens }: GenerateInput): number {
  return tokens.length + maxTokens + 1
}

/** A reader that is slow lets events wait here, never more than the request can have. */
function createEventQueue(eventsMax: number) {
  const waiting: GenerateEvent[] = []
  let total = 0
  let failure: EngineError | null = null
  let wake: (() => void) | null = null
  return {
    push(event: GenerateEvent): void {
      total += 1
      if (total > eventsMax) throw protocolError(`more than ${eventsMax} events in one request`)
      waiting.push(event)
      wake?.()
    },
    fail(error: EngineError): void {
      failure = error
      wake?.()
    },
    async next(): Promise<GenerateEvent> {
      for (;;) {
        const event = waiting.shift()
        if (event !== undefined) return event
        if (failure !== null) throw failure
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
    },
  }
}

/** The service's side of one `generate` call: events for its reader, reservations for its sink. */
import { type Calls, errorOf, type OpenCall } from './calls.ts'
import type { EngineError } from './errors.ts'
import { protocolError } from './frames.ts'
import type { CallReply, ToWorker } from './messages.ts'
import type {
  ArenaView,
  ExportRequest,
  GenerateEvent,
  GenerateInput,
  RecordBytes,
  RecordSink,
} from './types.ts'

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
  /** Resolves, never rejects, when the worker is done with this request and touches no more bytes. */
  readonly over: Promise<void>
}

/** Sends the request at once; its events wait for their reader. */
export function startGeneration(options: GenerationOptions): Generation {
  const { calls, input, signal } = options
  const { ignoreEnd = false, logits = false, ...rest } = input
  const { sequence } = options
  const request = { ...rest, type: 'generate', sequence, ignoreEnd, logits } as const
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

interface Reservation {
  readonly request: ExportRequest
  /** Undefined while the sink thinks about it. */
  bytes: RecordBytes | undefined
}

function createGenerationCall(
  id: number,
  send: (message: ToWorker) => void,
  { input, sink: rawSink, carriedInto, log }: GenerationOptions,
): GenerationCall {
  const events = createEventQueue(eventsMax(input))
  const sink = guardSink(rawSink, log)
  const reservations = new Map<number, Reservation>()
  const over = Promise.withResolvers<void>()
  let ended = false
  let cancelled = false

  const end = (): void => {
    ended = true
    over.resolve()
  }

  const reserve = async (number: number, request: ExportRequest): Promise<void> => {
    const reservation: Reservation = { request, bytes: undefined }
    reservations.set(number, reservation)
    const bytes = await sink.reserve(request)
    if (ended) {
      // The worker died meanwhile, and what it never heard of it cannot fill.
      if (bytes !== null) sink.abandon(bytes)
      return
    }
    if (bytes === null) reservations.delete(number)
    else reservation.bytes = bytes
    send({ type: 'reserved', id, reservation: number, bytes })
  }

  const reserved = (number: number): { request: ExportRequest; bytes: RecordBytes } => {
    const reservation = reservations.get(number)
    if (reservation?.bytes === undefined) throw protocolError(`${number} is not reserved`)
    return { request: reservation.request, bytes: reservation.bytes }
  }

  const exported = (reply: Extract<CallReply, { type: 'exported' }>, payload: Uint8Array): void => {
    const { request, bytes } = reserved(reply.reservation)
    const carriedBytes = carriedInto === null ? 0 : bytes.sizeBytes
    if (reply.generation !== bytes.generation || payload.byteLength !== carriedBytes) {
      // It stays reserved: a worker in this state may write until its process has ended.
      throw protocolError('`exported` does not match its reservation')
    }
    reservations.delete(reply.reservation)
    carriedInto?.view(bytes.offset, bytes.sizeBytes).set(payload)
    sink.commit({ ...request, bytes, crc32s: reply.crc32s })
  }

  const abandoned = (number: number): void => {
    const { bytes } = reserved(number)
    reservations.delete(number)
    sink.abandon(bytes)
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
        case 'reserve': {
          const { type: _type, id: _id, reservation, ...request } = reply
          void reserve(reservation, request)
          return false
        }
        case 'exported':
          exported(reply, payload)
          return false
        case 'abandoned':
          abandoned(reply.reservation)
          return false
        case 'error':
          giveBack(reservations, sink)
          end()
          events.fail(errorOf(reply))
          return true
        case 'done':
          if (reservations.size > 0) throw protocolError('`done` with open reservations')
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
      giveBack(reservations, sink)
      end()
      events.fail(error)
    },
  }
}

/** A cache failure is never the client's error: it is logged, and the answer goes on. */
function guardSink(sink: RecordSink, log: (line: string) => void): RecordSink {
  const guarded = (what: string, work: () => void): void => {
    try {
      work()
    } catch (error) {
      log(`a record could not be ${what}: ${String(error)}`)
    }
  }
  return {
    async reserve(request) {
      try {
        return await sink.reserve(request)
      } catch (error) {
        log(`no room for the record of ${request.from} to ${request.to}: ${String(error)}`)
        return null
      }
    },
    commit: (record) => guarded('stored', () => sink.commit(record)),
    abandon: (bytes) => guarded('given back', () => sink.abandon(bytes)),
  }
}

function giveBack(reservations: Map<number, Reservation>, sink: RecordSink): void {
  for (const { bytes } of reservations.values()) if (bytes !== undefined) sink.abandon(bytes)
  reservations.clear()
}

type EventReply = Extract<CallReply, { type: 'prefill' | 'token' | 'done' }>

function eventOf(reply: EventReply): GenerateEvent {
  const { id: _id, ...event } = reply
  if (event.type !== 'token') return event
  const { logits, ...token } = event
  return logits === null ? token : { ...token, logits }
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

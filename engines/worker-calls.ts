/** The calls of the service, carried out on one loaded model inside the worker. */
import type { Channel } from './channel.ts'
import { EngineError, RestoreError } from './errors.ts'
import { protocolError } from './frames.ts'
import { type GenerateJob, runGenerate } from './generate-loop.ts'
import type { CallMessage, ToService, ToWorker } from './messages.ts'
import { restoreRecords } from './restore.ts'
import { createTurns } from './turns.ts'
import type {
  EngineModel,
  EngineSequence,
  RecordBytes,
  RestoreRecord,
  WorkerOptions,
} from './types.ts'

/** The arena as the worker sees it, or null where the frames carry the bytes. */
export interface WorkerMemory {
  view(offset: number, sizeBytes: number): Uint8Array
}

export interface WorkerCalls {
  /** Starts a call, or hands an answer to a running one. Throws on what the protocol forbids. */
  handle(message: ToWorker, payload: Uint8Array): void
  /** Waits for the engine's running call, then closes the model. */
  close(): Promise<void>
}

interface RunningJob {
  readonly abort: AbortController
  readonly reservations: Map<number, (bytes: RecordBytes | null) => void>
}

type Message<Type extends CallMessage['type']> = Extract<CallMessage, { type: Type }>

export function createWorkerCalls(context: {
  readonly model: EngineModel
  readonly options: WorkerOptions
  readonly memory: WorkerMemory | null
  readonly channel: Channel
}): WorkerCalls {
  const { model, options, memory, channel } = context
  const turns = createTurns()
  const sequences = new Map<number, EngineSequence>()
  /** Given back and empty; an engine's sequences are opened once and used again. */
  const idle: EngineSequence[] = []
  const jobs = new Map<number, RunningJob>()

  const send = (message: ToService, payload?: readonly Uint8Array[]): Promise<void> =>
    channel.send(message, payload)

  const sequenceOf = (number: number): EngineSequence => {
    const sequence = sequences.get(number)
    if (sequence === undefined) throw protocolError(`sequence ${number} is not open`)
    return sequence
  }

  const open = (number: number): void => {
    if (sequences.has(number) || sequences.size >= model.info.sequences) {
      throw protocolError(`sequence ${number} cannot be opened twice or beyond the model's number`)
    }
    sequences.set(number, idle.pop() ?? model.openSequence())
  }

  const close = (number: number): void => {
    const sequence = sequenceOf(number)
    sequence.clear()
    sequences.delete(number)
    idle.push(sequence)
  }

  const restore = async (message: Message<'restore'>, payload: Uint8Array): Promise<ToService> => {
    const bytesOf = memory === null ? carried(message.records, payload) : mapped(memory)
    const sequence = sequenceOf(message.sequence)
    const result = await restoreRecords(sequence, message.records, bytesOf, turns)
    return { type: 'restored', id: message.id, ...result }
  }

  const generate = async (message: Message<'generate'>): Promise<ToService> => {
    const sequence = sequenceOf(message.sequence)
    const job: RunningJob = { abort: new AbortController(), reservations: new Map() }
    jobs.set(message.id, job)
    try {
      const done = await runGenerate({
        model,
        sequence,
        turns,
        blockTokens: options.blockTokens,
        reuse: options.reuse,
        input: message,
        signal: job.abort.signal,
        outlet: createOutlet(message.id, job, memory, send),
      })
      return { ...done, id: message.id }
    } catch (error) {
      await turns.take(() => sequence.clear())
      throw error
    } finally {
      jobs.delete(message.id)
    }
  }

  const carryOut = (message: CallMessage, payload: Uint8Array): Promise<ToService> => {
    const { id } = message
    const ok = { type: 'ok', id } as const
    switch (message.type) {
      case 'render':
        return turns.take(() => ({ type: 'text', id, text: model.render(message.input) }))
      case 'tokenize':
        return turns.take(() => {
          return { type: 'tokens', id, tokens: model.tokenize(message.text, message) }
        })
      case 'detokenize':
        return turns.take(() => ({ type: 'text', id, text: detokenize(model, message.tokens) }))
      case 'pieces':
        return turns.take(() => {
          return {
            type: 'pieces',
            id,
            pieces: Array.from(message.tokens, (token) => model.piece(token)),
          }
        })
      case 'open':
        return turns.take(() => open(message.sequence)).then(() => ok)
      case 'close':
        return turns.take(() => close(message.sequence)).then(() => ok)
      case 'trim':
        return turns
          .take(() => sequenceOf(message.sequence).trim(message.tokenCount))
          .then(() => ok)
      case 'restore':
        return restore(message, payload)
      case 'generate':
        return generate(message)
    }
  }

  return {
    handle(message, payload) {
      switch (message.type) {
        case 'hello':
        case 'shutdown':
          throw protocolError(`\`${message.type}\` in the middle of the work`)
        case 'cancel':
          // The job may have ended while the frame was on its way.
          jobs.get(message.id)?.abort.abort()
          return
        case 'reserved': {
          const answer = jobs.get(message.id)?.reservations.get(message.reservation)
          if (answer === undefined) throw protocolError('`reserved` for an unknown reservation')
          answer(message.bytes)
          return
        }
        default:
          // An async function, so that what throws at once also becomes an answer.
          void (async () => carryOut(message, payload))()
            .catch((error: unknown) => errorMessage(message, error))
            .then((answer) => send(answer))
      }
    },
    async close() {
      for (const job of jobs.values()) job.abort.abort()
      await turns.take(() => model.close())
    },
  }
}

function createOutlet(
  id: number,
  job: RunningJob,
  memory: WorkerMemory | null,
  send: (message: ToService, payload?: readonly Uint8Array[]) => Promise<void>,
): GenerateJob['outlet'] {
  let lastReservation = 0
  const reservationOf = new Map<RecordBytes, number>()
  // Carried records use one buffer again and again: fresh memory is 10 times slower.
  let scratch = new Uint8Array(0)
  return {
    emit(event) {
      if (event.type === 'prefill') return send({ ...event, id })
      return send({ ...event, id, logits: event.logits ?? null })
    },
    reserve(request) {
      lastReservation += 1
      const reservation = lastReservation
      return new Promise((resolve) => {
        job.reservations.set(reservation, (bytes) => {
          job.reservations.delete(reservation)
          if (bytes !== null) reservationOf.set(bytes, reservation)
          resolve(bytes)
        })
        void send({ type: 'reserve', id, reservation, ...request })
      })
    },
    memory(bytes) {
      if (memory !== null) return memory.view(bytes.offset, bytes.sizeBytes)
      if (scratch.byteLength < bytes.sizeBytes) scratch = new Uint8Array(bytes.sizeBytes)
      return scratch.subarray(0, bytes.sizeBytes)
    },
    exported(record, written) {
      const reservation = take(reservationOf, record.bytes)
      const { generation } = record.bytes
      const crc32s = [...record.crc32s]
      const message = { type: 'exported', id, reservation, generation, crc32s } as const
      return send(message, memory === null ? [written] : [])
    },
    abandon(bytes) {
      void send({ type: 'abandoned', id, reservation: take(reservationOf, bytes) })
    },
  }
}

function take(reservationOf: Map<RecordBytes, number>, bytes: RecordBytes): number {
  const reservation = reservationOf.get(bytes)
  if (reservation === undefined) throw protocolError('a record was exported twice')
  reservationOf.delete(bytes)
  return reservation
}

function mapped(memory: WorkerMemory): (record: RestoreRecord) => Uint8Array {
  return (record) => memory.view(record.offset, record.sizeBytes)
}

/** The payload is the records' bytes, one after the other. */
function carried(
  records: readonly RestoreRecord[],
  payload: Uint8Array,
): (record: RestoreRecord, recordIndex: number) => Uint8Array {
  const ends: number[] = []
  let end = 0
  for (const record of records) {
    end += record.sizeBytes
    ends.push(end)
  }
  if (end !== payload.byteLength) {
    throw protocolError(
      `\`restore\` carries ${payload.byteLength} bytes for ${end} bytes of records`,
    )
  }
  return (record, recordIndex) => {
    const to = ends[recordIndex] ?? 0
    return payload.subarray(to - record.sizeBytes, to)
  }
}

function detokenize(model: EngineModel, tokens: Uint32Array): string {
  return Buffer.concat(Array.from(tokens, (token) => model.piece(token))).toString('utf8')
}

function errorMessage(message: CallMessage, error: unknown): ToService {
  const fallback =
    message.type === 'render' ? 'PREFIXD_E_ENGINE_TEMPLATE' : 'PREFIXD_E_ENGINE_COMPUTE'
  return {
    type: 'error',
    id: message.id,
    code: error instanceof EngineError ? error.code : fallback,
    message: error instanceof Error ? error.message : String(error),
    recordIndex: error instanceof RestoreError ? error.recordIndex : null,
    corrupt: error instanceof RestoreError && error.corrupt,
  }
}

/** The calls of the service, carried out on one loaded model inside the worker. */
import type { Channel } from './channel.ts'
import { EngineError, RestoreError } from './errors.ts'
import { protocolError } from './frames.ts'
import type { CallMessage, ToService, ToWorker } from './messages.ts'
import { restoreRecords } from './restore.ts'
import { createTurns } from './turns.ts'
import type { EngineModel, EngineSequence, RestoreRecord, WorkerOptions } from './types.ts'
import { toUnitLength } from './unit-vector.ts'
import { createWorkerJobs, type SendToService, type WorkerMemory } from './worker-jobs.ts'

export interface WorkerCalls {
  /** Starts a call, or hands an answer to a running one. Throws on what the protocol forbids. */
  handle(message: ToWorker, payload: Uint8Array): void
  /** Waits for the engine's running call, then closes the model. */
  close(): Promise<void>
}

export interface WorkerContext {
  readonly model: EngineModel
  readonly options: WorkerOptions
  readonly memory: WorkerMemory | null
  readonly channel: Channel
}

type Message<Type extends CallMessage['type']> = Extract<CallMessage, { type: Type }>

export function createWorkerCalls({ model, options, memory, channel }: WorkerContext): WorkerCalls {
  const turns = createTurns()
  const send: SendToService = (message, payload) => channel.send(message, payload)
  const sequences = createSequenceTable(model)
  const jobs = createWorkerJobs(send, memory)

  const restore = async (message: Message<'restore'>, payload: Uint8Array): Promise<ToService> => {
    const bytesOf = memory === null ? carried(message.records, payload) : mapped(memory)
    const sequence = sequences.get(message.sequence)
    const result = await restoreRecords(sequence, message.records, bytesOf, turns)
    return { type: 'restored', id: message.id, ...result }
  }

  const generate = async (message: Message<'generate'>): Promise<ToService> => {
    const sequence = sequences.get(message.sequence)
    const { blockTokens, reuse } = options
    try {
      return await jobs.run(message, { model, sequence, turns, blockTokens, reuse })
    } catch (error) {
      await turns.take(() => sequence.clear())
      throw error
    }
  }

  const embed = async ({ id, tokens }: Message<'embed'>): Promise<ToService> => {
    const vector = await turns.take(() => model.embed(tokens))
    return { type: 'embedding', id, vector: toUnitLength(vector) }
  }

  const carryOut = (message: CallMessage, payload: Uint8Array): Promise<ToService> => {
    if (message.type === 'restore') return restore(message, payload)
    if (message.type === 'generate') return generate(message)
    if (message.type === 'embed') return embed(message)
    return turns.take(() => answerAtOnce(model, sequences, message))
  }

  const answer = async (message: CallMessage, payload: Uint8Array): Promise<void> => {
    try {
      await send(await carryOut(message, payload))
    } catch (error) {
      await send(errorMessage(message, error))
    }
  }

  return {
    handle(message, payload) {
      switch (message.type) {
        case 'hello':
        case 'shutdown':
          throw protocolError(`\`${message.type}\` in the middle of the work`)
        case 'cancel':
          jobs.cancel(message.id)
          return
        case 'reserved':
          jobs.reserved(message)
          return
        default:
          void answer(message, payload)
      }
    },
    async close() {
      jobs.cancelAll()
      await turns.take(() => model.close())
    },
  }
}

type AtOnce = Exclude<CallMessage, { type: 'restore' | 'generate' | 'embed' }>

/** Calls that take one turn of the engine and no longer. */
function answerAtOnce(model: EngineModel, sequences: SequenceTable, message: AtOnce): ToService {
  const { id } = message
  switch (message.type) {
    case 'render':
      return { type: 'text', id, text: model.render(message.input) }
    case 'tokenize': {
      const { text, addSpecial, parseSpecial } = message
      return { type: 'tokens', id, tokens: model.tokenize(text, { addSpecial, parseSpecial }) }
    }
    case 'detokenize':
      return { type: 'text', id, text: Buffer.concat(piecesOf(model, message.tokens)).toString() }
    case 'pieces':
      return { type: 'pieces', id, pieces: piecesOf(model, message.tokens) }
    case 'open':
      sequences.open(message.sequence)
      return { type: 'ok', id }
    case 'trim':
      sequences.get(message.sequence).trim(message.tokenCount)
      return { type: 'ok', id }
    case 'close':
      sequences.close(message.sequence)
      return { type: 'ok', id }
  }
}

interface SequenceTable {
  get(number: number): EngineSequence
  open(number: number): void
  close(number: number): void
}

function createSequenceTable(model: EngineModel): SequenceTable {
  const inUse = new Map<number, EngineSequence>()
  /** Given back and empty; an engine's sequences are opened once and used again. */
  const idle: EngineSequence[] = []
  const get = (number: number): EngineSequence => {
    const sequence = inUse.get(number)
    if (sequence === undefined) throw protocolError(`sequence ${number} is not open`)
    return sequence
  }
  return {
    get,
    open(number) {
      if (inUse.has(number) || inUse.size >= model.info.sequences) {
        throw protocolError(`sequence ${number} is open, or one too many`)
      }
      inUse.set(number, idle.pop() ?? model.openSequence())
    },
    close(number) {
      const sequence = get(number)
      sequence.clear()
      inUse.delete(number)
      idle.push(sequence)
    },
  }
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

function piecesOf(model: EngineModel, tokens: Uint32Array): Uint8Array[] {
  return Array.from(tokens, (token) => model.piece(token))
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

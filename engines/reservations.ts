/** The records that one request is about to save: asked of the sink, filled by the worker. */
import { protocolError } from './frames.ts'
import type { CallReply, ToWorker } from './messages.ts'
import type { ArenaView, ExportRequest, RecordBytes, RecordSink } from './types.ts'

export interface Reservations {
  readonly openCount: number
  reserve(reply: Extract<CallReply, { type: 'reserve' }>): void
  /** Throws PREFIXD_E_ENGINE_PROTOCOL; the room then stays taken until the worker has ended. */
  exported(reply: Extract<CallReply, { type: 'exported' }>, payload: Uint8Array): void
  abandoned(number: number): void
  /** The worker touches nothing any more: gives back what is open, now and when it arrives. */
  close(): void
}

interface Reservation {
  readonly request: ExportRequest
  /** Undefined while the sink thinks about it. */
  bytes: RecordBytes | undefined
}

export function createReservations(options: {
  readonly id: number
  readonly send: (message: ToWorker) => void
  readonly sink: RecordSink
  /** Where carried records are copied to; null when the worker writes into the arena itself. */
  readonly carriedInto: ArenaView | null
  readonly log: (line: string) => void
}): Reservations {
  const { id, send, carriedInto } = options
  const sink = guardSink(options.sink, options.log)
  const open = new Map<number, Reservation>()
  let closed = false

  const reserved = (number: number): { request: ExportRequest; bytes: RecordBytes } => {
    const reservation = open.get(number)
    if (reservation?.bytes === undefined) throw protocolError(`${number} is not reserved`)
    return { request: reservation.request, bytes: reservation.bytes }
  }

  const answer = (number: number, reservation: Reservation, bytes: RecordBytes | null): void => {
    if (closed) {
      if (bytes !== null) sink.abandon(bytes)
      return
    }
    if (bytes === null) open.delete(number)
    else reservation.bytes = bytes
    send({ type: 'reserved', id, reservation: number, bytes })
  }

  return {
    get openCount() {
      return open.size
    },
    reserve({ type: _type, id: _id, reservation: number, ...request }) {
      if (open.has(number)) throw protocolError(`${number} is reserved already`)
      const reservation: Reservation = { request, bytes: undefined }
      open.set(number, reservation)
      void sink.reserve(request).then((bytes) => answer(number, reservation, bytes))
    },
    exported({ reservation, generation, crc32s }, payload) {
      const { request, bytes } = reserved(reservation)
      const carriedBytes = carriedInto === null ? 0 : bytes.sizeBytes
      if (generation !== bytes.generation || payload.byteLength !== carriedBytes) {
        throw protocolError('`exported` does not match its reservation')
      }
      open.delete(reservation)
      carriedInto?.view(bytes.offset, bytes.sizeBytes).set(payload)
      sink.commit({ ...request, bytes, crc32s })
    },
    abandoned(number) {
      const { bytes } = reserved(number)
      open.delete(number)
      sink.abandon(bytes)
    },
    close() {
      closed = true
      for (const { bytes } of open.values()) if (bytes !== undefined) sink.abandon(bytes)
      open.clear()
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

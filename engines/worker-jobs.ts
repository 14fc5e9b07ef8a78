/** The running `generate` calls inside a worker, and their way to the service's sink. */
import { protocolError } from './frames.ts'
import { type GenerateJob, runGenerate } from './generate-loop.ts'
import type { CallMessage, ToService, ToWorker } from './messages.ts'
import type { RecordBytes } from './types.ts'

/** The arena as the worker sees it, or null where the frames carry the bytes. */
export interface WorkerMemory {
  view(offset: number, sizeBytes: number): Uint8Array
}

export type SendToService = (message: ToService, payload?: readonly Uint8Array[]) => Promise<void>

type GenerateMessage = Extract<CallMessage, { type: 'generate' }>

export interface WorkerJobs {
  run(
    message: GenerateMessage,
    job: Omit<GenerateJob, 'input' | 'outlet' | 'signal'>,
  ): Promise<ToService>
  /** The job may have ended while the frame was on its way; then it does nothing. */
  cancel(id: number): void
  reserved(message: Extract<ToWorker, { type: 'reserved' }>): void
  cancelAll(): void
}

interface RunningJob {
  readonly abort: AbortController
  readonly reservations: Map<number, (bytes: RecordBytes | null) => void>
}

export function createWorkerJobs(send: SendToService, memory: WorkerMemory | null): WorkerJobs {
  const running = new Map<number, RunningJob>()
  return {
    async run(message, job) {
      const { id } = message
      const own: RunningJob = { abort: new AbortController(), reservations: new Map() }
      running.set(id, own)
      const outlet = createOutlet(id, own, memory, send)
      try {
        const done = await runGenerate({ ...job, input: message, outlet, signal: own.abort.signal })
        return { ...done, id }
      } finally {
        running.delete(id)
      }
    },
    cancel: (id) => running.get(id)?.abort.abort(),
    reserved(message) {
      const answer = running.get(message.id)?.reservations.get(message.reservation)
      if (answer === undefined) throw protocolError('`reserved` for an unknown reservation')
      answer(message.bytes)
    },
    cancelAll() {
      for (const job of running.values()) job.abort.abort()
    },
  }
}

function createOutlet(
  id: number,
  job: RunningJob,
  memory: WorkerMemory | null,
  send: SendToService,
): GenerateJob['outlet'] {
  let lastReservation = 0
  const numbers = new Map<RecordBytes, number>()
  const takeNumber = (bytes: RecordBytes): number => {
    const number = numbers.get(bytes)
    if (number === undefined) throw protocolError('a record was exported twice')
    numbers.delete(bytes)
    return number
  }
  // Carried records use one buffer again and again: fresh memory is 10 times slower.
  let scratch = new Uint8Array(0)
  return {
    emit(event) {
      if (event.type === 'prefill') return send({ ...event, id })
      const { logits = null, logprobs = null } = event
      return send({ ...event, id, logits, logprobs })
    },
    reserve(request) {
      lastReservation += 1
      const reservation = lastReservation
      return new Promise((resolve) => {
        job.reservations.set(reservation, (bytes) => {
          job.reservations.delete(reservation)
          if (bytes !== null) numbers.set(bytes, reservation)
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
      const reservation = takeNumber(record.bytes)
      const { generation } = record.bytes
      const crc32s = [...record.crc32s]
      const message = { type: 'exported', id, reservation, generation, crc32s } as const
      return send(message, memory === null ? [written] : [])
    },
    abandon(bytes) {
      void send({ type: 'abandoned', id, reservation: takeNumber(bytes) })
    },
  }
}

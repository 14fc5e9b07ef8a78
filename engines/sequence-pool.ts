/** Hands out the sequences of the live worker, and lets requests wait for one. */
import { EngineError } from './errors.ts'
import type { LiveWorker } from './keep-alive.ts'
import { createSequence } from './sequence.ts'
import type { ArenaView, Sequence } from './types.ts'
import { createWaitQueue } from './wait-queue.ts'

export interface SequencePool {
  readonly busy: number
  readonly waiting: number
  /** Rejects with PREFIXD_E_ENGINE_QUEUE_FULL, the signal's reason, or what ended the worker. */
  open(signal: AbortSignal): Promise<Sequence>
  /** All sequences of this worker are free. */
  attach(worker: LiveWorker): void
  /** The worker has ended; requests wait for the next one. */
  detach(): void
  rejectAll(error: EngineError): void
}

interface Slots extends LiveWorker {
  readonly free: number[]
}

interface Slot extends Slots {
  readonly sequence: number
}

export function createSequencePool(options: {
  readonly queuedRequests: number
  /** Set where the frames carry the bytes of records. */
  readonly carried: ArenaView | null
  readonly log: (line: string) => void
  /** A sequence was given back. */
  readonly onRelease: () => void
}): SequencePool {
  const queue = createWaitQueue<Slot>(options.queuedRequests, 'a sequence of this worker')
  let slots: Slots | null = null

  const serve = (): void => {
    const live = slots
    if (live === null) return
    queue.serve(() => {
      const sequence = live.free.shift()
      return sequence === undefined ? null : { ...live, sequence }
    })
  }

  const openSlot = async ({ life, sequence, free }: Slot): Promise<Sequence> => {
    const release = (): void => {
      free.push(sequence)
      serve()
      options.onRelease()
    }
    try {
      await life.calls.ask({ type: 'open', sequence }, 'ok')
    } catch (error) {
      release()
      throw error
    }
    return createSequence({
      calls: life.calls,
      sequence,
      carried: options.carried,
      log: options.log,
      release,
      async giveUp(error) {
        life.kill(notCleared(sequence, error))
        await life.ended
      },
    })
  }

  return {
    get busy() {
      return slots === null ? 0 : slots.info.sequences - slots.free.length
    },
    get waiting() {
      return queue.size
    },
    async open(signal) {
      const granted = queue.wait(signal)
      serve()
      return openSlot(await granted)
    },
    attach(worker) {
      slots = { ...worker, free: Array.from({ length: worker.info.sequences }, (_, at) => at) }
      serve()
    },
    detach() {
      slots = null
    },
    rejectAll: queue.rejectAll,
  }
}

function notCleared(sequence: number, error: unknown): EngineError {
  return new EngineError(
    'PREFIXD_E_ENGINE_DIED',
    `Sequence ${sequence} could not be cleared and its worker was ended: ${String(error)}. ` +
      'Send the request again.',
  )
}

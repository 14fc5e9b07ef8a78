/** A sequence of the worker as the service holds it: one owner, one call at a time. */
import type { CallRequest, Calls } from './calls.ts'
import { EngineError } from './errors.ts'
import { type Generation, startGeneration } from './generation.ts'
import type { ArenaView, RestoreRecord, Sequence } from './types.ts'

export interface SequenceOptions {
  readonly calls: Calls
  readonly sequence: number
  /** Set where the frames carry the bytes of records. */
  readonly carried: ArenaView | null
  readonly log: (line: string) => void
  /** The worker has confirmed that it is empty, or the worker has ended. */
  readonly release: () => void
  /** The worker could not clear it: nobody may use that process any more. Resolves at its end. */
  readonly giveUp: (error: unknown) => Promise<void>
}

export function createSequence(options: SequenceOptions): Sequence {
  const { calls, sequence, carried, log } = options
  let active: Generation | null = null
  let closing: Promise<void> | null = null

  const assertOpen = (): void => {
    if (closing === null && active === null) return
    throw new EngineError(
      'PREFIXD_E_ENGINE_PROTOCOL',
      `Sequence ${sequence} is ${closing === null ? 'busy' : 'closed'}; open another one.`,
    )
  }

  const close = async (): Promise<void> => {
    active?.cancel()
    await active?.over
    try {
      await calls.ask({ type: 'close', sequence }, 'ok')
    } catch (error) {
      await options.giveUp(error)
    }
    options.release()
  }

  return {
    async restore(records, expectedTokens = records.at(-1)?.keepTo ?? 0) {
      assertOpen()
      const payload =
        carried === null ? [] : records.map((it) => carried.view(it.offset, it.sizeBytes))
      // What the service has verified says nothing of the bytes that come out of a socket.
      const verified = (record: RestoreRecord) => carried === null && record.verified === true
      const request: CallRequest = {
        type: 'restore',
        sequence,
        expectedTokens,
        records: records.map((record) => ({ ...record, verified: verified(record) })),
      }
      const { restoredTokens, restoreMs } = await calls.ask(request, 'restored', payload)
      return { restoredTokens, restoreMs }
    },
    async *generate(input, sink, signal) {
      assertOpen()
      const generation = startGeneration({
        calls,
        sequence,
        input,
        sink,
        signal,
        carriedInto: carried,
        log,
      })
      active = generation
      void generation.over.then(() => {
        active = null
      })
      yield* generation.events
    },
    async trim(tokenCount) {
      assertOpen()
      await calls.ask({ type: 'trim', sequence, tokenCount }, 'ok')
    },
    close() {
      closing ??= close()
      return closing
    },
  }
}

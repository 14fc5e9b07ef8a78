/**
 * An answer that does not come is given up: who waits for it has long gone, and the ones behind it
 * wait too. What was computed until then is saved, so that the same prompt goes on from there.
 */
import { PrefixdError } from '../errors.ts'
import type { GenerateEvent } from './types.ts'

export interface Deadlines {
  /** From its arrival until its plan: most of it is waiting for a sequence. */
  readonly queueMs: number
  /** From its plan until the first word of the answer. */
  readonly prefillMs: number
}

/** Throws `PREFIXD_E_ENGINE_TIMEOUT` when `run` takes longer; its signal then aborts. */
export async function* withinDeadlines(
  run: (signal: AbortSignal) => AsyncIterable<GenerateEvent>,
  signal: AbortSignal,
  { queueMs, prefillMs }: Deadlines,
): AsyncGenerator<GenerateEvent> {
  const late = new AbortController()
  const within = (ms: number, what: string): NodeJS.Timeout =>
    setTimeout(() => late.abort(timedOut(what, ms)), ms).unref()
  let timer = within(queueMs, 'wait for its turn')
  try {
    for await (const event of run(AbortSignal.any([signal, late.signal]))) {
      // An engine that was aborted ends its answer in good order; it is none all the same.
      late.signal.throwIfAborted()
      if (event.type === 'planned') {
        clearTimeout(timer)
        timer = within(prefillMs, 'prefill')
      } else if (event.type !== 'restored' && event.type !== 'prefill') clearTimeout(timer)
      yield event
    }
    late.signal.throwIfAborted()
  } catch (error) {
    late.signal.throwIfAborted()
    throw error
  } finally {
    clearTimeout(timer)
  }
}

const timedOut = (what: string, ms: number): PrefixdError =>
  new PrefixdError(
    'PREFIXD_E_ENGINE_TIMEOUT',
    `The request took longer than the limit of ${Math.ceil(ms / 1000)} s to ${what}.`,
    { next: 'What was computed is stored: the same prompt goes on from there.' },
  )

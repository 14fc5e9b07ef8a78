/** Turns the engine's tokens into the answer's text, and ends it where the client wants. */
import type { GenerateEvent as EngineEvent, GenerateDone } from '../../engines/index.ts'
import { createStopFilter } from './stop-strings.ts'
import type { GenerateEvent } from './types.ts'

export interface Decoded {
  readonly done: GenerateDone
  readonly finishReason: 'stop' | 'length'
  /** When the first token of the answer was there; null when none was wanted. */
  readonly firstTokenAt: number | null
}

/**
 * Yields text and progress; returns what the engine confirmed at its end. `stop` makes the engine
 * end within one token; what it has computed is saved all the same.
 */
export async function* decode(
  events: AsyncIterable<EngineEvent>,
  stops: readonly string[],
  stop: () => void,
  now: () => number,
): AsyncGenerator<GenerateEvent, Decoded> {
  const filter = createStopFilter(stops)
  let firstTokenAt: number | null = null
  let isStopped = false
  for await (const event of events) {
    if (event.type === 'prefill') yield event
    else if (event.type === 'token') {
      firstTokenAt ??= now()
      if (isStopped) continue
      const verdict = filter.push(event.text)
      if (verdict.text !== '') yield { type: 'text', text: verdict.text }
      if (verdict.isStopped) {
        isStopped = true
        stop()
      }
    } else {
      const held = isStopped ? '' : filter.flush()
      if (held !== '') yield { type: 'text', text: held }
      const finishReason = isStopped || event.finishReason === 'stop' ? 'stop' : 'length'
      return { done: event, finishReason, firstTokenAt }
    }
  }
  throw new Error('the engine’s stream ended without its receipt')
}

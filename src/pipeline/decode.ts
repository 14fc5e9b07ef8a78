/** Turns the engine's tokens into the answer's text, and ends it where the client wants. */
import type { GenerateEvent as EngineEvent, GenerateDone } from '../../engines/index.ts'
import { createStopFilter } from './stop-strings.ts'
import type { GenerateEvent } from './types.ts'

export interface Decoded {
  readonly done: GenerateDone
  readonly finishReason: 'stop' | 'length'
  /** The stop string that ended the answer. */
  readonly stopString: string | null
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
  let stopString: string | null = null
  for await (const event of events) {
    if (event.type === 'prefill') yield event
    else if (event.type === 'token') {
      firstTokenAt ??= now()
      if (stopString !== null) continue
      const verdict = filter.push(event.text)
      if (verdict.text !== '') yield { type: 'text', text: verdict.text }
      stopString = verdict.stopString
      if (stopString !== null) stop()
    } else {
      const held = stopString === null ? filter.flush() : ''
      if (held !== '') yield { type: 'text', text: held }
      const isEnd = stopString !== null || event.finishReason === 'stop'
      return { done: event, finishReason: isEnd ? 'stop' : 'length', stopString, firstTokenAt }
    }
  }
  throw new Error('the engine’s stream ended without its receipt')
}

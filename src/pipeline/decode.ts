/** Turns the engine's tokens into the answer's events, and ends it where the client wants. */
import type { GenerateEvent as EngineEvent, GenerateDone } from '../../engines/index.ts'
import type { AnswerReader } from './answer-reader.ts'
import type { SampledToken } from './attribution.ts'
import type { FinishReason, GenerateEvent } from './types.ts'

type TokenEvent = Extract<EngineEvent, { type: 'token' }>

export interface Decoded {
  readonly done: GenerateDone
  readonly finishReason: FinishReason
  /** The stop string that ended the answer. */
  readonly stopString: string | null
  /** When the first token of the answer was there; null when none was wanted. */
  readonly firstTokenAt: number | null
}

/**
 * Yields the answer and progress; returns what the engine confirmed at its end. `stop` makes the
 * engine end within one token; what it has computed is saved all the same.
 */
export async function* decode(
  events: AsyncIterable<EngineEvent>,
  reader: AnswerReader,
  stop: () => void,
  now: () => number,
): AsyncGenerator<GenerateEvent, Decoded> {
  let firstTokenAt: number | null = null
  for await (const event of events) {
    if (event.type === 'prefill') yield event
    else if (event.type === 'token') {
      firstTokenAt ??= now()
      if (reader.isOver) continue
      yield* reader.push(event.text, sampledOf(event))
      if (reader.isOver) stop()
    } else {
      if (!reader.isOver) yield* reader.end()
      const { stopString } = reader
      return { done: event, finishReason: reasonOf(event, reader), stopString, firstTokenAt }
    }
  }
  throw new Error('the engine’s stream ended without its receipt')
}

const sampledOf = ({ token, logprobs }: TokenEvent): SampledToken | undefined =>
  logprobs && { token, logprobs }

function reasonOf(done: GenerateDone, { calls, stopString, isOver }: AnswerReader): FinishReason {
  if (stopString !== null) return 'stop'
  if (!isOver && done.finishReason !== 'stop') return 'length'
  return calls > 0 ? 'tool_calls' : 'stop'
}

/**
 * One or several answers to one prompt. It is restored and prefilled once, in one sequence; what a
 * choice has decoded is taken away again, and the next one goes on behind the same prompt with the
 * next seed.
 */
import type { GenerateDone, GenerateInput, RecordSink, Sequence } from '../../engines/index.ts'
import type { AnswerReader } from './answer-reader.ts'
import { type Decoded, decode } from './decode.ts'
import type { GenerateEvent } from './types.ts'

export interface ChoicesJob {
  readonly sequence: Sequence
  readonly input: GenerateInput
  readonly sink: RecordSink
  readonly count: number
  /** Takes away what a choice has decoded; answers where the next one begins to compute. */
  readonly standAgain: () => Promise<number>
  readonly openReader: () => AnswerReader
  readonly signal: AbortSignal
}

/** What the engine confirmed of all of them; prompt tokens are those of the first one. */
export type ChoicesDone = Pick<Decoded, 'done' | 'firstTokenAt'>

export async function* decodeChoices(
  job: ChoicesJob,
  now: () => number,
): AsyncGenerator<GenerateEvent, ChoicesDone> {
  const { count, signal } = job
  const first = yield* decodeChoice(job, job.input, now)
  let { done } = first
  for (let choice = 1; choice < count && !signal.aborted; choice += 1) {
    const computeFrom = await job.standAgain()
    yield { type: 'choice', choice }
    const next = yield* decodeChoice(job, inputOf(job, choice, computeFrom), now)
    done = together(done, next.done)
  }
  return { done, firstTokenAt: first.firstTokenAt }
}

async function* decodeChoice(
  { sequence, sink, openReader, signal }: ChoicesJob,
  input: GenerateInput,
  now: () => number,
): AsyncGenerator<GenerateEvent, Decoded> {
  const stop = new AbortController()
  try {
    const events = sequence.generate(input, sink, AbortSignal.any([signal, stop.signal]))
    const decoded = yield* decode(events, openReader(), () => stop.abort(), now)
    const { finishReason, stopString } = decoded
    yield { type: 'finish', finishReason, ...(stopString === null ? {} : { stopString }) }
    return decoded
  } finally {
    stop.abort()
  }
}

/** The prompt and the first answer are saved already; later answers nobody may ever send back. */
function inputOf({ input }: ChoicesJob, choice: number, computeFrom: number): GenerateInput {
  const { sampling } = input
  const seed = sampling.seed + choice
  const unsaved = { save: false, boundaries: [] }
  return { ...input, ...unsaved, computeFrom, sampling: { ...sampling, seed } }
}

/** Making ready for a further choice is a part of decoding it. */
function together(first: GenerateDone, next: GenerateDone): GenerateDone {
  return {
    ...first,
    decodedTokens: first.decodedTokens + next.decodedTokens,
    decodeMs: first.decodeMs + next.prefillMs + next.decodeMs,
  }
}

/** One request to one sequence of an engine, with its whole answer. */
import { greedy } from '../../bench/greedy.ts'
import type {
  Engine,
  GenerateDone,
  GenerateEvent,
  GenerateInput,
  RecordSink,
  Sequence,
} from '../../engines/types.ts'

const never = new AbortController().signal

export interface Answer {
  readonly events: GenerateEvent[]
  readonly tokens: number[]
  readonly text: string
  readonly logits: Float32Array[]
  readonly done: GenerateDone
}

/** Eight greedy tokens behind this prompt, computed from its beginning and saved. */
export function requestOf(tokens: Uint32Array): GenerateInput {
  return {
    tokens,
    computeFrom: 0,
    restoredOnGrid: false,
    maxTokens: 8,
    sampling: greedy,
    save: true,
    ignoreEnd: true,
  }
}

export async function generate(
  sequence: Sequence,
  input: Partial<GenerateInput> & Pick<GenerateInput, 'tokens'>,
  sink: RecordSink,
  signal: AbortSignal = never,
): Promise<Answer> {
  const whole: GenerateInput = { ...requestOf(input.tokens), logits: true, ...input }
  const events: GenerateEvent[] = []
  for await (const event of sequence.generate(whole, sink, signal)) events.push(event)
  const answered = events.filter((event) => event.type === 'token')
  return {
    events,
    tokens: answered.map((event) => event.token),
    text: answered.map((event) => event.text).join(''),
    logits: answered.map((event) => event.logits ?? new Float32Array(0)),
    done: events.at(-1) as GenerateDone,
  }
}

/** A prompt of exactly this many tokens, in words that every tokenizer knows. */
export async function promptOf(
  engine: Engine,
  tokenCount: number,
  about: string,
): Promise<Uint32Array> {
  const sentence = `${about}: the river was wide and the boat was small, so nobody spoke. `
  const tokens = await engine.tokenize(sentence.repeat(tokenCount), {
    addSpecial: true,
    parseSpecial: false,
  })
  return tokens.slice(0, tokenCount)
}

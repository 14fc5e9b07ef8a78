/** An engine that lets its sampled tokens and their logits be seen, and is otherwise the same. */
import type { Engine, GenerateEvent, Sequence } from '../engines/index.ts'

export type SampledToken = Extract<GenerateEvent, { type: 'token' }>

/** Asks every request for logits; `onToken` sees them before the product does. */
export function recordLogits(engine: Engine, onToken: (event: SampledToken) => void): Engine {
  return {
    ...engine,
    openSequence: async (signal) => recorded(await engine.openSequence(signal), onToken),
  }
}

const recorded = (sequence: Sequence, onToken: (event: SampledToken) => void): Sequence => ({
  restore: (records, expectedTokens) => sequence.restore(records, expectedTokens),
  async *generate(input, sink, signal) {
    for await (const event of sequence.generate({ ...input, logits: true }, sink, signal)) {
      if (event.type === 'token') onToken(event)
      yield event
    }
  },
  trim: (tokenCount) => sequence.trim(tokenCount),
  close: () => sequence.close(),
})

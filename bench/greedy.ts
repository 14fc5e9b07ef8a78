/** Sampling without chance: the same logits give the same token. */
import type { Sampling } from '../engines/index.ts'

export const greedy: Sampling = {
  temperature: 0,
  topP: 1,
  topK: 0,
  minP: 0,
  repeatPenalty: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  seed: 1,
}

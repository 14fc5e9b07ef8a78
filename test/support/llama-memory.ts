/** A model and what somebody wants of a machine, for tests of who gets which memory. */
import type { ShareWish } from '../../src/models/memory-share.ts'
import type { ModelMemory } from '../../src/models/model-memory.ts'

export const gibibyte = 1024 ** 3

/** 128 KiB a token: the figures of Llama 3 8B. */
export const llama8b: ModelMemory = {
  architecture: 'llama',
  layers: 32,
  trainedContextTokens: 131_072,
  kinds: ['kv'],
  kv: { keys: 32 * 1024, values: 32 * 1024 },
  window: { keys: 0, values: 0, tokens: 0 },
  stateBytes: 0,
  rowWidth: { embedding: 4096, hidden: 14_336 },
  guess: null,
}

/** Nothing but a RAM tier of 4 GiB was asked for. */
export const unasked: ShareWish = {
  contextTokens: 'auto',
  sequences: 'auto',
  scaled: false,
  ramBytes: 4 * gibibyte,
}

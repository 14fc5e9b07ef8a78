import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { greedy } from '../../../bench/greedy.ts'
import type { EngineModel, EngineSequence } from '../../../engines/types.ts'
import {
  argmax,
  blockTokens,
  decode,
  exportBlocks,
  maxDifference,
  openDefaultModel,
  prefill,
  proseTokens,
  restore,
} from '../../support/llamacpp-model.ts'

describe('a restored prefix on the real model', () => {
  let cold: EngineModel
  let warm: EngineModel
  let coldSequence: EngineSequence
  let warmSequence: EngineSequence

  beforeAll(async () => {
    cold = await openDefaultModel()
    warm = await openDefaultModel()
    coldSequence = cold.openSequence()
    warmSequence = warm.openSequence()
  })
  afterAll(async () => {
    await cold.close()
    await warm.close()
  })

  test.each([
    { promptTokens: 300, seed: 1 },
    { promptTokens: 900, seed: 3 },
  ])(
    'of whole blocks of $promptTokens tokens gives the logits and tokens of a cold run, bit by bit',
    async ({ promptTokens, seed }) => {
      const prompt = proseTokens(cold, promptTokens, seed)
      const coldLogits = await prefill(coldSequence, prompt)
      const records = exportBlocks(coldSequence)
      const coldTokens = await decode(coldSequence, greedy, prompt, 24)
      const coldEnd = coldSequence.logits()
      coldSequence.clear()

      restore(warmSequence, records, promptTokens - (promptTokens % blockTokens))
      expect(warmSequence.tokenCount).toBe(promptTokens - (promptTokens % blockTokens))
      const warmLogits = await prefill(warmSequence, prompt)
      const warmTokens = await decode(warmSequence, greedy, prompt, 24)
      const warmEnd = warmSequence.logits()
      warmSequence.clear()

      expect(warmLogits).toEqual(coldLogits)
      expect(warmTokens).toEqual(coldTokens)
      expect(warmEnd).toEqual(coldEnd)
    },
  )

  test('with its exact tail continues as the sequence that was never left, bit by bit', async () => {
    const prompt = proseTokens(cold, 340, 4)
    const turn = proseTokens(cold, 13, 5)
    await prefill(coldSequence, prompt)
    const records = exportBlocks(coldSequence)
    await coldSequence.compute(turn, true)
    const live = coldSequence.logits()
    coldSequence.clear()

    restore(warmSequence, records, 340)
    await warmSequence.compute(turn, true)
    expect(warmSequence.logits()).toEqual(live)
    warmSequence.clear()
  })

  test('trimmed inside a block differs from cold no more than cold runs in other calls do', async () => {
    const shared = 345
    const sibling = proseTokens(cold, 401, 6)
    const prompt = Uint32Array.from(sibling)
    prompt.set(proseTokens(cold, 401 - shared, 7), shared)
    await prefill(coldSequence, sibling)
    const records = exportBlocks(coldSequence)
    const coldRun = async (callTokens: number): Promise<Float32Array> => {
      coldSequence.clear()
      return prefill(coldSequence, prompt, callTokens)
    }
    const reference = await coldRun(blockTokens)
    const others = [await coldRun(99), await coldRun(shared)]
    const noise = Math.max(...others.map((logits) => maxDifference(logits, reference)))
    coldSequence.clear()

    restore(warmSequence, records, shared)
    const trimmed = await prefill(warmSequence, prompt)
    warmSequence.clear()
    expect(noise).toBeGreaterThan(0)
    expect(maxDifference(trimmed, reference)).toBeLessThanOrEqual(noise)
    expect(argmax(trimmed)).toBe(argmax(reference))
  })
})

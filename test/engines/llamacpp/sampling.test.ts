import { afterAll, beforeAll, expect, test } from 'vitest'
import { greedy } from '../../../bench/greedy.ts'
import type { EngineModel, EngineSequence, Sampling } from '../../../engines/types.ts'
import { decode, openDefaultModel, prefill } from '../../support/llamacpp-model.ts'

let model: EngineModel
let sequence: EngineSequence
let prompt: Uint32Array

beforeAll(async () => {
  model = await openDefaultModel({ contextTokens: 512 })
  sequence = model.openSequence()
  prompt = model.tokenize('Red, red, red, red, red, red, red,', {
    addSpecial: true,
    parseSpecial: false,
  })
})
afterAll(() => model.close())

async function sampled(changes: Partial<Sampling>, tokenCount = 12): Promise<number[]> {
  await prefill(sequence, prompt)
  const tokens = await decode(sequence, { ...greedy, ...changes }, prompt, tokenCount)
  sequence.clear()
  return tokens
}

test('the same seed gives the same tokens, and another seed others', async () => {
  const hot = { temperature: 1.5, topP: 0.98 }
  const first = await sampled({ ...hot, seed: 7 })
  expect(await sampled({ ...hot, seed: 7 })).toEqual(first)
  expect(await sampled({ ...hot, seed: 8 })).not.toEqual(first)
})

test('the largest seed is a seed too, although llama.cpp reads it as "random"', async () => {
  const hot = { temperature: 2, seed: 0xffffffff }
  expect(await sampled(hot)).toEqual(await sampled(hot))
})

test('temperature 0 takes the largest logit, whatever the seed', async () => {
  expect(await sampled({ seed: 1 })).toEqual(await sampled({ seed: 2 }))
})

test.each([
  ['topK 1', { topK: 1 }],
  ['a tiny topP', { topP: 1e-6 }],
  ['minP 1', { minP: 1 }],
])('%s leaves only the largest logit at any temperature', async (_, limit) => {
  expect(await sampled({ temperature: 5, ...limit })).toEqual(await sampled({}))
})

test('penalties count the tokens of the prompt', async () => {
  const [plain] = await sampled({}, 1)
  expect(prompt).toContain(plain)
  for (const penalty of [{ presencePenalty: 100 }, { frequencyPenalty: 100 }]) {
    const [penalised] = await sampled(penalty, 1)
    expect(prompt).not.toContain(penalised)
  }
})

test('a sampler refuses to look at the logits of another moment', async () => {
  await prefill(sequence, prompt)
  const sampler = sequence.createSampler({ sampling: greedy, tokens: prompt })
  sequence.trim(2)
  expect(() => sampler.sample()).toThrow('compute it with logits first')
  sampler.close()
  sequence.clear()
})

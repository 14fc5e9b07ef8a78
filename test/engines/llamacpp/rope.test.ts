import { describe, expect, it, test } from 'vitest'
import { planRope, readRopeScaling, ropeParams, ropeWords } from '../../../engines/llamacpp/rope.ts'
import {
  maxDifference,
  openDefaultModel,
  prefill,
  proseTokens,
} from '../../support/llamacpp-model.ts'

const llama = { trainedContextTokens: 8192, ropeType: 0, ownScaling: null }

describe('the reach of a context', () => {
  it('ends at the training without scaling, and 0 asks for just that', () => {
    expect(planRope(32_768, 'none', llama)).toEqual({ contextTokens: 8192, scaling: null })
    expect(planRope(0, 'yarn', llama)).toEqual({ contextTokens: 8192, scaling: null })
  })

  it('is not scaled within the training, so that stored bytes stay what they are', () => {
    const rope = planRope(4096, 'yarn', llama)
    expect(rope).toEqual({ contextTokens: 4096, scaling: null })
    expect(ropeWords(rope)).toBe(ropeWords(planRope(8192, 'none', llama)))
    expect(ropeParams(rope)).toEqual({})
  })

  it('goes beyond with a factor that llama.cpp is told', () => {
    const rope = planRope(32_768, 'yarn', llama)
    expect(rope.contextTokens).toBe(32_768)
    expect(ropeParams(rope)).toEqual({
      rope_scaling_type: 2,
      rope_freq_scale: 0.25,
      yarn_orig_ctx: 8192,
    })
    const linear = planRope(16_384, 'linear', llama)
    expect(ropeParams(linear)).toMatchObject({ rope_scaling_type: 1, rope_freq_scale: 0.5 })
  })

  it('has its own words for every kind and factor: they keep stored blocks apart', () => {
    const words = [
      planRope(8192, 'none', llama),
      planRope(16_384, 'yarn', llama),
      planRope(32_768, 'yarn', llama),
      planRope(32_768, 'linear', llama),
      planRope(32_768, 'yarn', { ...llama, trainedContextTokens: 4096 }),
    ].map(ropeWords)
    expect(new Set(words).size).toBe(words.length)
  })

  it.each([
    ['without a rope', { ropeType: -1 }, 'no rope'],
    ['that is scaled by its own file', { ownScaling: 'yarn' }, 'scales its rope itself (yarn)'],
  ])('is not scaled for a model %s', (_, facts, words) => {
    const model = { ...llama, ...facts }
    expect(() => planRope(9000, 'linear', model)).toThrow(
      expect.objectContaining({
        code: 'PREFIXD_E_ENGINE_SETTINGS',
        message: expect.stringMatching(/--ctx to 8192 or less/),
      }),
    )
    expect(() => planRope(9000, 'linear', model)).toThrow(words)
    expect(planRope(9000, 'none', model).contextTokens).toBe(8192)
  })
})

it('is refused by name for a word that is no scaling', () => {
  expect(readRopeScaling(undefined)).toBe('none')
  expect(() => readRopeScaling('dynamic')).toThrow('none, linear, yarn')
})

test('the engine scales as it is told, beyond the training, and declares it', async () => {
  const open = (contextTokens: number, ropeScaling: string) =>
    openDefaultModel({ contextTokens, engine: { ropeScaling } })
  const logits: Float32Array[] = []
  const fingerprints = new Set<string>()
  for (const [contextTokens, ropeScaling] of [
    [8192, 'none'],
    [16_384, 'linear'],
    [16_384, 'yarn'],
  ] as const) {
    const model = await open(contextTokens, ropeScaling)
    expect(model.info).toMatchObject({ contextTokens, trainedContextTokens: 8192 })
    fingerprints.add(JSON.stringify(model.info.fingerprint))
    const sequence = model.openSequence()
    logits.push(await prefill(sequence, proseTokens(model, 256, 1)))
    await model.close()
  }
  expect(fingerprints.size).toBe(3)
  const [plain, linear, yarn] = logits as [Float32Array, Float32Array, Float32Array]
  expect(maxDifference(plain, linear)).toBeGreaterThan(0.1)
  expect(maxDifference(linear, yarn)).toBeGreaterThan(0.1)
})

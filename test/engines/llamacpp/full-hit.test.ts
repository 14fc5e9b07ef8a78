/** What `--reuse token` costs of exactness: the last token of a prompt is computed alone. */
import { expect, it } from 'vitest'
import { familyModelPath } from '../../support/family-models.ts'
import {
  exportBlocks,
  maxDifference,
  openDefaultModel,
  prefill,
  proseTokens,
  restore,
} from '../../support/llamacpp-model.ts'

/** Its last call has 64 tokens: from there on llama.cpp's attention works in tiles. */
const promptTokens = 320

it.each([
  ['the default model', undefined],
  ['a llama of noise', () => familyModelPath('llama')],
] as const)(
  'behind a full hit %s computes what it computes behind the prompt that stands there',
  async (_, path) => {
    const model = await openDefaultModel({
      ...(path === undefined ? {} : { modelPath: path() }),
      contextTokens: 512,
    })
    const sequence = model.openSequence()
    const tokens = proseTokens(model, promptTokens, 1)
    const last = tokens.subarray(-1)
    const whole = (await prefill(sequence, tokens)).slice()
    const records = exportBlocks(sequence)

    sequence.trim(promptTokens - 1)
    await sequence.compute(last, true)
    const alone = sequence.logits().slice()

    sequence.clear()
    restore(sequence, records, promptTokens - 1)
    await sequence.compute(last, true)
    expect(sequence.logits()).toEqual(alone)
    // Nothing was restored for `alone`, and still it differs: the kernels differ, not the rows.
    expect(maxDifference(whole, alone)).toBeGreaterThan(0)
    await model.close()
  },
)

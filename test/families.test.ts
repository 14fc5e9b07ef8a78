/** Every family of models through the whole product: cache, tiers, worker and llama.cpp. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type ExactService, openExactService } from '../bench/exact-service.ts'
import { isIdentical } from '../bench/exactness.ts'
import { createRandom } from '../bench/random.ts'
import { familyModelPath, familyNames } from './support/family-models.ts'

const mebibyte = 1024 ** 2
const blockTokens = 64
const promptTokens = 3 * blockTokens + 20
const answerTokens = 6
const modes = familyNames.flatMap((family) =>
  (['token', 'block'] as const).map((reuse) => ({ family, reuse })),
)

const tokensFrom = (seed: number, count: number): number[] => {
  const random = createRandom(seed)
  return Array.from({ length: count }, () => random.integer(33, 120))
}

test.each(modes)(
  '$family by $reuse: answers are the same cold, warm and after a restart',
  async ({ family, reuse }) => {
    const folder = mkdtempSync(join(tmpdir(), 'prefixd-family-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const open = (): Promise<ExactService> =>
      openExactService({
        engine: 'llamacpp',
        modelPath: familyModelPath(family),
        directory: folder,
        reuse,
        blockTokens,
        boundaryTokens: blockTokens,
        contextTokens: 512,
        threads: 1,
        ramBytes: 64 * mebibyte,
        ssdBytes: 1024 * mebibyte,
      })
    let service = await open()
    onTestFinished(() => service.close())

    /** Asks warm and cold; what was restored has to change nothing. */
    const ask = async (prompt: readonly number[]) => {
      const tokens = Uint32Array.from(prompt)
      const warm = await service.answer(tokens, answerTokens)
      const cold = await service.answer(tokens, answerTokens, { read: false, write: false })
      expect(warm.tokens).toEqual(cold.tokens)
      if (reuse === 'block') expect(isIdentical(warm, cold)).toBe(true)
      return { restored: warm.receipt.restoredTokens, sequence: [...prompt, ...warm.tokens] }
    }
    /** The deepest boundary before a divergence at this token. */
    const onGrid = (token: number): number => token - (token % blockTokens)
    const byReuse = (token: number): number => (reuse === 'token' ? token : onGrid(token))

    const first = await ask(tokensFrom(1, promptTokens))
    expect(first.restored).toBe(0)
    const prompt = first.sequence.slice(0, promptTokens)
    expect((await ask(prompt)).restored).toBe(byReuse(promptTokens - 1))
    const next = await ask([...first.sequence, ...tokensFrom(2, 30)])
    // The last token of an answer was sampled and not computed.
    expect(next.restored).toBe(byReuse(promptTokens + answerTokens - 1))

    await service.close()
    service = await open()
    expect((await ask(prompt)).restored).toBe(byReuse(promptTokens - 1))
    for (const left of [blockTokens - 1, blockTokens, blockTokens + 1, 2 * blockTokens + 9]) {
      const { restored } = await ask([...prompt.slice(0, left), ...tokensFrom(left, 40)])
      const isPlain = family === 'llama' && reuse === 'token'
      expect(restored).toBe(isPlain ? left : onGrid(left))
    }
  },
  60_000,
)

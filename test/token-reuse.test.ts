import { expect, test } from 'vitest'
import { type Completion, complete, completeCold } from '../bench/completions-client.ts'
import { createServiceFolder, fakeFlags, fakeTokens, realFlags } from './support/start-service.ts'

/** Two prompts that leave each other after `sharedTokens`, and what the second answer says. */
async function askBoth(url: string, sharedTokens: number, tokenAt: (at: number) => number) {
  const prompt = (own: number): Uint32Array =>
    Uint32Array.from({ length: sharedTokens + 90 }, (_, at) =>
      tokenAt(at < sharedTokens ? at : at + own),
    )
  const [first, second] = [prompt(1000), prompt(7000)]
  expect(first[sharedTokens]).not.toBe(second[sharedTokens])
  await complete(url, { tokens: first, answerTokens: 4 })
  const answer = await complete(url, { tokens: second, answerTokens: 16 })
  return { second, answer }
}

const restored = ({ cachedTokens, tier }: Completion) => ({ cachedTokens, tier })

test('of 5,000 shared tokens that end inside a block, every one is restored', async () => {
  const service = await createServiceFolder().start(fakeFlags)
  const tokens = fakeTokens(5, 20_000)
  const { second, answer } = await askBoth(service.url, 5000, (at) => tokens[at] as number)
  expect(5000 % 256).not.toBe(0)
  expect(restored(answer)).toEqual({ cachedTokens: 5000, tier: 'ram' })
  const cold = await completeCold(service.url, { tokens: second, answerTokens: 16 })
  expect(answer.text).toBe(cold.text)
})

test('on the real model too, and after kill -9 from the SSD', async () => {
  const folder = createServiceFolder()
  const service = await folder.start(realFlags())
  const tokenAt = (at: number): number => 1000 + ((at * 7919) % 40_000)
  const { second, answer } = await askBoth(service.url, 300, tokenAt)
  expect(restored(answer)).toEqual({ cachedTokens: 300, tier: 'ram' })
  await service.kill()
  const { url } = await folder.start(realFlags())
  const again = await complete(url, { tokens: second, answerTokens: 4 })
  expect(restored(again)).toEqual({ cachedTokens: second.length - 1, tier: 'ssd' })
})

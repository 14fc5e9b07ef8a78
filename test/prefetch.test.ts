import { expect, test } from 'vitest'
import { complete } from '../bench/completions-client.ts'
import { createServiceFolder, fakeFlags, fakeTokens, until } from './support/start-service.ts'

interface Stats {
  readonly tiers: readonly { readonly tier: string; readonly used_bytes: number }[]
}

test('after kill -9 the RAM tier is filled again from the SSD before anybody asks', async () => {
  const folder = createServiceFolder()
  const start = () => folder.start(fakeFlags, {}, undefined, { PREFIXD_PREFETCH: 'true' })
  const request = { tokens: fakeTokens(3, 2000), answerTokens: 8 }
  const before = await start()
  const cold = await complete(before.url, request)
  const ramBytes = async (service: typeof before) => {
    const { tiers } = (await service.get('/v1/cache/stats')) as Stats
    return tiers.find(({ tier }) => tier === 'ram')?.used_bytes ?? 0
  }
  const filledBytes = await ramBytes(before)
  await before.kill()
  const after = await start()
  await until(
    () => ramBytes(after),
    (usedBytes) => usedBytes === filledBytes,
  )
  const warm = await complete(after.url, request)
  expect(warm).toMatchObject({ text: cold.text, cachedTokens: 1999, tier: 'ram' })
})

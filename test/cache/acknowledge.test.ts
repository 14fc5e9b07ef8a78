import { expect, test } from 'vitest'
import { createMemorySsd } from '../support/memory-ssd.ts'
import { blockTokens, mebibyte, openToyCache } from '../support/open-toy-cache.ts'
import { beginLease, restoreAll, saveAll, serveToy, tokensOf } from '../support/toy-engine.ts'

const beginning = tokensOf([0, 2 * blockTokens])
const longer = tokensOf([0, 3 * blockTokens + 100])

test('what continues a block that is still on its way is acknowledged when that has arrived', async () => {
  const ssd = createMemorySsd(64 * mebibyte)
  const { cache } = openToyCache({ ssd })
  const arrive = ssd.hold()
  const first = beginLease(cache, beginning)
  await saveAll(cache, first, beginning, 0)
  const later = ssd.hold()
  const second = beginLease(cache, longer)
  await saveAll(cache, second, longer, await restoreAll(cache, second, longer))
  // The continuation reaches the disk, the beginning does not.
  later()
  expect(await second.settle(50)).toBe(0)
  arrive()
  expect(await second.settle(5_000)).toBe(blockTokens + 100)
  first.release()
  second.release()
})

test('what continues a refused block is acknowledged only when that is stored after all', async () => {
  const ssd = createMemorySsd(64 * mebibyte)
  const { cache } = openToyCache({ ssd })
  ssd.failWrites(new Error('no space'))
  expect((await serveToy(cache, beginning)).savedTokens).toBe(0)
  const still = await serveToy(cache, tokensOf([0, 2 * blockTokens], [9000, 50]))
  expect(still).toMatchObject({ restored: 2 * blockTokens, savedTokens: 0 })
  ssd.failWrites(null)
  const after = await serveToy(cache, longer)
  expect(after).toMatchObject({ restored: 2 * blockTokens, savedTokens: blockTokens + 100 })

  const { cache: restarted } = openToyCache({ ssd: ssd.reopen() })
  expect((await serveToy(restarted, longer)).restored).toBe(longer.length - 1)
})

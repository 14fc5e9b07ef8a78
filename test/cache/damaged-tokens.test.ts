import { expect, test } from 'vitest'
import type { SsdTier } from '../../cache/tiers/tier.ts'
import { createMemorySsd } from '../support/memory-ssd.ts'
import { blockTokens, mebibyte, openToyCache } from '../support/open-toy-cache.ts'
import { serveToy, tokensOf } from '../support/toy-engine.ts'

const stored = tokensOf([0, blockTokens + 200])
/** Leaves the stored one behind the first token of its second block. */
const other = stored.map((token, at) => (at === blockTokens + 1 ? token ^ 4 : token))

/** As after a flipped bit in LMDB: the second block is said to have the other prompt's tokens. */
async function storeAndRot(): Promise<SsdTier> {
  const ssd = createMemorySsd(64 * mebibyte)
  const { cache } = openToyCache({ ssd })
  await serveToy(cache, stored)
  const again = ssd.reopen()
  return {
    ...again,
    tokens(hash) {
      const tokens = again.tokens(hash)
      return tokens?.length === 200 ? other.slice(blockTokens) : tokens
    },
  }
}

test('a block whose token ids have changed on the disk is nobody else’s', async () => {
  const { cache } = openToyCache({ ssd: await storeAndRot() })
  expect((await serveToy(cache, other)).restored).toBe(blockTokens)
})

test('a block whose token ids have changed on the disk is computed again, and what is before it is not', async () => {
  const { cache } = openToyCache({ ssd: await storeAndRot() })
  expect((await serveToy(cache, stored)).restored).toBe(blockTokens)
})

test('a block whose token ids have changed on the disk is stored anew with the next prompt', async () => {
  const { cache } = openToyCache({ ssd: await storeAndRot() })
  await serveToy(cache, stored)
  expect((await serveToy(cache, stored)).restored).toBe(stored.length - 1)
  expect(cache.counters.corruptBlocks).toBe(1)
})

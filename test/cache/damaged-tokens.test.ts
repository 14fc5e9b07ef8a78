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

test('a prompt whose stored token ids have changed hears that they were damaged, and the log has it once', async () => {
  const { cache, warnings } = openToyCache({ ssd: await storeAndRot() })
  const { plan } = await serveToy(cache, stored)
  expect(plan.miss).toEqual({ reason: 'corrupt', atToken: blockTokens })
  expect(plan.reasons).toContain(
    'what was stored of the next tokens was damaged, and is not used any more',
  )
  expect(warnings.filter((line) => line.includes('not used any more'))).toHaveLength(1)
  expect((await serveToy(cache, stored)).plan.miss).toBeNull()
})

test('a tail whose token ids have changed is known although the prompt has less than it', async () => {
  const { cache } = openToyCache({ ssd: await storeAndRot() })
  const { plan } = await serveToy(cache, stored.slice(0, blockTokens + 150))
  expect(plan.miss).toEqual({ reason: 'corrupt', atToken: blockTokens })
})

test('a prompt that shares only its beginning with a damaged tail is none of its', async () => {
  const { cache } = openToyCache({ ssd: await storeAndRot() })
  const unlike = tokensOf([0, blockTokens + 50], [9000, 150])
  expect((await serveToy(cache, unlike)).plan.miss).not.toMatchObject({ reason: 'corrupt' })
  expect((await serveToy(cache, stored)).plan.miss).toMatchObject({ reason: 'corrupt' })
})

test('a whole block whose token ids cannot be read at all is known by its name', async () => {
  const ssd = createMemorySsd(64 * mebibyte)
  await serveToy(openToyCache({ ssd }).cache, stored)
  const { cache } = openToyCache({ ssd: { ...ssd.reopen(), tokens: () => null } })
  expect((await serveToy(cache, stored)).plan.miss).toEqual({ reason: 'corrupt', atToken: 0 })
})

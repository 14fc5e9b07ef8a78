import { expect, test } from 'vitest'
import { openRecordIndex } from '../../cache/tiers/record-index.ts'
import type { SsdTier } from '../../cache/tiers/tier.ts'
import { createMemorySsd, type MemorySsd } from '../support/memory-ssd.ts'
import { mebibyte, openToyCache } from '../support/open-toy-cache.ts'
import {
  expectStored,
  MiB,
  makeDirectory,
  makePayload,
  openTestTier,
} from '../support/stored-records.ts'
import { serveToy, tokensOf } from '../support/toy-engine.ts'

const prompt = tokensOf([0, 2048])
const other = tokensOf([9000, 1024])

interface Refusing {
  readonly ssd: MemorySsd
  readonly tier: SsdTier
  refuses: boolean
}

/** A tier that lets nothing go while it refuses. */
function createRefusing(): Refusing {
  const ssd = createMemorySsd(64 * mebibyte)
  const refuse = () => Promise.reject(new Error('EIO'))
  const refusing: Refusing = {
    ssd,
    refuses: true,
    tier: {
      ...ssd,
      remove: (keys) => (refusing.refuses ? refuse() : ssd.remove(keys)),
      quarantine: (key) => (refusing.refuses ? refuse() : ssd.quarantine(key)),
    },
  }
  return refusing
}

async function afterRefusal() {
  const refusing = createRefusing()
  const { cache, warnings } = openToyCache({ ssd: refusing.tier })
  await serveToy(cache, prompt)
  await cache.evict([...cache.index.blocks()].reverse(), null)
  expect(cache.index.blockCount).toBe(0)
  expect(refusing.ssd.usage().records).toBe(2)
  expect(warnings.join()).toMatch('refused a removal')
  return { cache, refusing }
}

test('what the disk refused to remove goes with the next removal', async () => {
  const { cache, refusing } = await afterRefusal()
  refusing.refuses = false
  await serveToy(cache, other)
  await cache.evict([...cache.index.blocks()], null)
  expect(refusing.ssd.usage().records).toBe(0)
})

test('what the disk refused to remove goes when the cache is closed', async () => {
  const { cache, refusing } = await afterRefusal()
  refusing.refuses = false
  await cache.close()
  expect(refusing.ssd.usage().records).toBe(0)
})

test('what was saved again since the disk refused to remove it stays', async () => {
  const { cache, refusing } = await afterRefusal()
  refusing.refuses = false
  await serveToy(cache, prompt)
  await cache.close()
  expect(refusing.ssd.usage().records).toBe(2)
  const { cache: reopened } = openToyCache({ ssd: refusing.ssd.reopen() })
  expect((await serveToy(reopened, prompt)).restored).toBe(2047)
})

test('a record that is written while its removal fails is the one that stays', async () => {
  const directory = makeDirectory()
  const refused = Promise.withResolvers<void>()
  let isArmed = false
  const tier = await openTestTier(directory.path, {
    async openIndex(options) {
      const index = await openRecordIndex(options)
      return {
        ...index,
        async commit(change) {
          if (!isArmed) return index.commit(change)
          isArmed = false
          return refused.promise
        },
      }
    },
  })
  const old = makePayload(1, 3 * MiB)
  await tier.write(old.record, old.tokens, old.bytes)
  isArmed = true
  const removal = tier.remove([old.record])
  const fresh = makePayload(1, MiB)
  await tier.write(fresh.record, fresh.tokens, fresh.bytes)
  refused.reject(new Error('EIO'))
  await expect(removal).rejects.toMatchObject({ code: 'PREFIXD_E_CACHE_IO' })
  expect(tier.usage()).toMatchObject({ records: 1, usedBytes: MiB })
  await expectStored(tier, fresh.record)
  await tier.close()
  directory.remove()
})

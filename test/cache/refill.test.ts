import { describe, expect, it } from 'vitest'
import type { Cache, PrefixLease } from '../../cache/index.ts'
import { createMemorySsd, type MemorySsd } from '../support/memory-ssd.ts'
import { blockBytes, blockTokens, mebibyte, openToyCache } from '../support/open-toy-cache.ts'
import { beginLease, serveToy, tokensOf, toyNamespace } from '../support/toy-engine.ts'

const old = tokensOf([0, 4 * blockTokens])
const recent = tokensOf([500_000, 4 * blockTokens])

/** What an earlier run of the service has left: the older prompt, then the newer one. */
async function leftBehind(): Promise<MemorySsd> {
  const ssd = createMemorySsd(64 * mebibyte)
  let nowMs = 0
  const { cache } = openToyCache({ ssd, now: () => ++nowMs })
  await serveToy(cache, old)
  await serveToy(cache, recent)
  await cache.flush()
  return ssd.reopen()
}

async function* warm(...ends: readonly number[]): AsyncGenerator<number> {
  for (const blocks of ends) yield blocks * blockBytes
}

const fill = (cache: Cache, warmBytes: AsyncIterable<number>, share = 1) =>
  cache.refill({ warmBytes, share, yieldMs: 5_000, isWanted: () => true })

const tierOf = (cache: Cache, prompt: Uint32Array) => {
  const lease = beginLease(cache, prompt)
  lease.release()
  return lease.plan.tier
}

const usedBytes = (cache: Cache) => cache.usage()[0]?.usedBytes

describe('the refill of the RAM tier', () => {
  it('brings back what the SSD has, so that the first request finds it in RAM', async () => {
    const { cache } = openToyCache({ ssd: await leftBehind() })
    expect(tierOf(cache, recent)).toBe('ssd')
    const filled = await fill(cache, warm(64))
    expect(filled).toEqual({ recordCount: 8, sizeBytes: 8 * blockBytes })
    const served = await serveToy(cache, recent)
    expect(served.plan.tier).toBe('ram')
    expect(served.restored).toBe(recent.length - 1)
  })

  it('takes what was used last, from its beginning, and evicts nothing', async () => {
    const { cache } = openToyCache({ ssd: await leftBehind(), ramBlocks: 8 })
    await fill(cache, warm(8), 5 / 8)
    expect(usedBytes(cache)).toBe(5 * blockBytes)
    expect(tierOf(cache, recent)).toBe('ram')
    expect(tierOf(cache, old.subarray(0, blockTokens + 1))).toBe('ram')
    expect(tierOf(cache, old)).toBe('ssd')
    expect(cache.usage()[0]?.evictedRecords).toBe(0)
  })

  it('fills no more than is warm', async () => {
    const { cache } = openToyCache({ ssd: await leftBehind() })
    await fill(cache, warm(1, 3))
    expect(usedBytes(cache)).toBe(3 * blockBytes)
  })

  it('leaves what is not wanted where it is, and everything where the share is 0', async () => {
    const { cache } = openToyCache({ ssd: await leftBehind() })
    const isWanted = (namespace: string) => namespace !== toyNamespace
    await cache.refill({ warmBytes: warm(64), share: 1, yieldMs: 1, isWanted })
    await fill(cache, warm(64), 0)
    expect(usedBytes(cache)).toBe(0)
  })

  it('goes before what a request has used since', async () => {
    const { cache } = openToyCache({ ssd: await leftBehind(), ramBlocks: 8 })
    await serveToy(cache, old)
    await fill(cache, warm(8))
    expect(usedBytes(cache)).toBe(8 * blockBytes)
    // Room for four further blocks is made of what nobody has asked for.
    await serveToy(cache, tokensOf([900_000, 4 * blockTokens]))
    expect(tierOf(cache, old)).toBe('ram')
    expect(tierOf(cache, recent)).toBe('ssd')
  })

  it('lets requests go first', async () => {
    const { cache } = openToyCache({ ssd: await leftBehind() })
    const lease = beginLease(cache, recent)
    const filling = fill(cache, warm(64))
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(usedBytes(cache)).toBe(0)
    lease.release()
    expect((await filling).recordCount).toBe(8)
  })

  it('reports a damaged record, cuts its chain there and goes on', async () => {
    const ssd = await leftBehind()
    const { cache, warnings } = openToyCache({ ssd })
    const third = [...cache.index.blocks()].find(({ index }) => index === 2)
    ssd.damage(third?.hash ?? ('' as never))
    const filled = await fill(cache, warm(64))
    expect(warnings).toHaveLength(1)
    expect(filled.recordCount).toBe(cache.index.blockCount)
    expect(cache.index.blockCount).toBe(6)
    // Who asks for it later hears that it was damaged.
    const isOld = cache.hashesOf(toyNamespace, old)[2] === third?.hash
    const prompt = isOld ? old : recent
    const { plan } = await serveToy(cache, prompt)
    expect(plan.miss).toEqual({ reason: 'corrupt', atToken: 2 * blockTokens })
    expect((await serveToy(cache, prompt)).plan.miss).toBeNull()
  })
})

describe('reading ahead', () => {
  const ahead = async (cache: Cache, lease: PrefixLease, signal: AbortSignal) => {
    await lease.readAhead(signal)
    lease.release()
    return usedBytes(cache)
  }
  const never = new AbortController().signal

  it('brings the planned records into RAM without keeping them there by force', async () => {
    const { cache } = openToyCache({ ssd: await leftBehind() })
    expect(await ahead(cache, beginLease(cache, old), never)).toBe(4 * blockBytes)
    expect((await serveToy(cache, old)).plan.tier).toBe('ram')
  })

  it('takes a quarter of the tier at most', async () => {
    const { cache } = openToyCache({ ssd: await leftBehind(), ramBlocks: 8 })
    expect(await ahead(cache, beginLease(cache, old), never)).toBe(2 * blockBytes)
  })

  it('stops when its request is admitted', async () => {
    const { cache } = openToyCache({ ssd: await leftBehind() })
    expect(await ahead(cache, beginLease(cache, old), AbortSignal.abort())).toBe(0)
  })
})

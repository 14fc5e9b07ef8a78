import { crc32 } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { Cache, PrefixLease } from '../../cache/index.ts'
import { bigSsd, blockTokens, openBigCache } from '../support/open-toy-cache.ts'
import {
  boundaryLayout,
  exactBytes,
  leaseBoundary,
  stateLayout,
} from '../support/toy-boundaries.ts'
import { tokensOf } from '../support/toy-engine.ts'

/** Two blocks and a half. */
const prompt = tokensOf([0, 2500])

describe.each([
  ['rows, windows and states', boundaryLayout],
  ['states only', stateLayout],
])('block reuse of what token reuse has stored: %s', (_, layout) => {
  const exactly = { from: blockTokens, to: 2 * blockTokens, grid: true }

  /** As token reuse leaves it: the second block was cut by a boundary, and a tail follows. */
  async function openStored() {
    const ssd = bigSsd()
    const { cache: before } = openBigCache({ ssd })
    const lease = leaseBoundary(before, prompt, { layout })
    await saveAt(before, lease, { from: 0, to: blockTokens, grid: true })
    await saveAt(before, lease, { ...exactly, grid: false })
    await saveAt(before, lease, { from: 2 * blockTokens, to: 2400, grid: false })
    lease.release()
    await before.flush()
    return openBigCache({ ssd: ssd.reopen(), reuse: 'block' }).cache
  }

  /** As the engine: it asks for room for windows and states before the rows are filled. */
  async function saveAt(
    cache: Cache,
    lease: PrefixLease,
    span: { readonly from: number; readonly to: number; readonly grid: boolean },
  ): Promise<void> {
    const tokens = prompt.subarray(span.from, span.to)
    const placed = layout.kinds.map((kind) => {
      const rowBytes = layout.kvBytesPerToken * tokens.length
      const sizeBytes = kind === 'kv' ? rowBytes : exactBytes
      return lease.reserve({ ...span, kind, sizeBytes, tokens })
    })
    for (const place of await Promise.all(placed)) {
      if (place === null) continue
      const bytes = cache.arena.view(place.offset, place.sizeBytes).fill(7)
      lease.commit(place, bytes.length === 0 ? [] : [crc32(bytes)])
    }
  }

  it('restores what is on the grid, and says nothing of a divergence', async () => {
    const cache = await openStored()
    const { plan, release } = leased(cache)
    expect(plan).toMatchObject({ outcome: 'hit', computeFrom: blockTokens, miss: null })
    release()
  })

  it('keeps what the first request computes on the grid, with its windows and states', async () => {
    const cache = await openStored()
    const lease = leaseBoundary(cache, prompt, { layout })
    lease.confirmRestored(blockTokens)
    await saveAt(cache, lease, exactly)
    expect(await lease.settle(5_000)).toBe(blockTokens)
    lease.release()
    const { plan, release } = leased(cache)
    expect(plan).toMatchObject({ outcome: 'hit', computeFrom: 2 * blockTokens, miss: null })
    release()
  })

  it('still names the token where a prompt leaves the stored one', async () => {
    const cache = await openStored()
    const other = tokensOf([0, blockTokens], [90_000, 2 * blockTokens])
    const { plan, release } = leased(cache, other)
    expect(plan.miss).toEqual({ reason: 'diverged', atToken: blockTokens })
    release()
  })

  function leased(cache: Cache, tokens = prompt) {
    const lease = leaseBoundary(cache, tokens, { layout })
    return { plan: lease.plan, release: () => lease.release() }
  }
})

import { crc32 } from 'node:zlib'
import { expect, test } from 'vitest'
import { createMemorySsd } from '../support/memory-ssd.ts'
import { blockTokens, mebibyte, openToyCache } from '../support/open-toy-cache.ts'
import { beginLease, tokensOf } from '../support/toy-engine.ts'

const blockCount = 20
const smallBytes = 4096

/** Far smaller than what the arena gives a record at least. */
async function storeSmallRecords(ssd = createMemorySsd(64 * mebibyte)) {
  const { cache } = openToyCache({ ssd })
  const tokens = tokensOf([0, blockCount * blockTokens + 1])
  const lease = beginLease(cache, tokens)
  for (let from = 0; from + blockTokens < tokens.length; from += blockTokens) {
    const to = from + blockTokens
    const own = tokens.subarray(from, to)
    const saveable = {
      kind: 'kv',
      from,
      to,
      sizeBytes: smallBytes,
      tokens: own,
      grid: true,
    } as const
    const place = await lease.reserve(saveable)
    if (place === null) throw new Error('no room')
    const bytes = cache.arena.view(place.offset, smallBytes).fill(from % 251)
    lease.commit(place, [crc32(bytes)])
  }
  await lease.settle(5_000)
  lease.release()
  return { ssd, tokens }
}

test('a prefix of small records that together fill more than the RAM tier is restored', async () => {
  const { ssd, tokens } = await storeSmallRecords()
  const { cache } = openToyCache({ ssd: ssd.reopen(), ramBlocks: 8 })
  const lease = beginLease(cache, tokens)
  let restored = 0
  for await (const window of lease.windows()) restored = window.at(-1)?.planned.to ?? restored
  lease.release()
  expect(restored).toBe(blockCount * blockTokens)
})

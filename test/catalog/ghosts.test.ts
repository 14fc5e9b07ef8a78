import { expect, test } from 'vitest'
import type { Cache } from '../../cache/cache.ts'
import { nobody } from '../../cache/listener.ts'
import type { BlockHash } from '../../cache/types.ts'
import type { Catalog } from '../../src/catalog/types.ts'
import { limits } from '../../src/config/limits.ts'
import { createMemorySsd } from '../support/memory-ssd.ts'
import { catalogFolder } from '../support/open-catalog.ts'
import { blockTokens, mebibyte, openToyCache } from '../support/open-toy-cache.ts'
import { serveToy, tokensOf, toyNamespace } from '../support/toy-engine.ts'

const blocksPerChat = 4
const chatOf = (chat: number) => tokensOf([chat * 100_000, blocksPerChat * blockTokens])

function openWith(catalog: Catalog, capacityBytes: number): Cache {
  const { cache } = openToyCache({ ssd: createMemorySsd(capacityBytes), ramBlocks: 8 })
  const { onEvicted, whenEvicted } = catalog.ghosts
  cache.listen({ ...nobody, onEvicted, whenEvicted })
  return cache
}

/** Serves the chat, and tells the catalog what it missed. Returns what was restored. */
async function ask(cache: Cache, catalog: Catalog, chat: number): Promise<number> {
  const { plan, restored } = await serveToy(cache, chatOf(chat))
  await cache.flush()
  const { miss, evicted: blocks = [] } = plan
  const cost = { needsBoundary: false, msPerToken: 1 }
  if (miss?.reason === 'evicted') catalog.ghosts.missed({ blocks, ...cost })
  return restored
}

async function askInTurns(cache: Cache, catalog: Catalog, chats: number, rounds: number) {
  let restored = 0
  for (let turn = 0; turn < chats * rounds; turn++) {
    restored += await ask(cache, catalog, turn % chats)
  }
  return restored
}

test('a prompt that was evicted is missed for that reason, and the plan says when', async () => {
  const { open } = catalogFolder()
  const catalog = open()
  const cache = openWith(catalog, 16 * mebibyte)
  for (let chat = 0; chat < 8; chat++) await ask(cache, catalog, chat)
  const { plan } = await serveToy(cache, chatOf(0))
  expect(plan.miss).toMatchObject({ reason: 'evicted', evictedAtMs: expect.any(Number) })
  // All of it has gone, since whole chats are asked for in turns.
  expect(plan.evicted).toEqual(cache.hashesOf(toyNamespace, chatOf(0)))
  expect(plan.reasons.join('\n')).toMatch(/next \d+ tokens were stored, and evicted .* make room/)
  const other = await serveToy(cache, chatOf(99))
  expect(other.plan.miss).toEqual({ reason: 'never_seen', atToken: 0 })
  expect(other.plan.evicted).toBe(undefined)
})

test('what somebody evicted by hand is told apart, and is no reason for more room', async () => {
  const { open } = catalogFolder()
  const catalog = open()
  const cache = openWith(catalog, 64 * mebibyte)
  await ask(cache, catalog, 1)
  const blocks = [...cache.index.blocks()].sort((a, b) => b.index - a.index)
  await cache.evict(blocks, null)
  const { plan } = await serveToy(cache, chatOf(1))
  expect(plan.miss?.reason).toBe('evicted')
  expect(plan.reasons.join('\n')).toContain('because somebody asked')
  catalog.ghosts.missed({ blocks: plan.evicted ?? [], needsBoundary: false, msPerToken: 1 })
  expect(catalog.ghosts.advice()).toMatchObject({ steps: [], best: null })
})

test('the room that is advised serves at least the tokens that were promised', async () => {
  const capacityBytes = 16 * mebibyte
  const [chats, rounds] = [7, 4]
  const small = catalogFolder().open()
  const before = await askInTurns(openWith(small, capacityBytes), small, chats, rounds)
  const { best } = small.ghosts.advice()
  expect(best).toMatchObject({ tier: 'ssd' })
  const { moreBytes, tokens } = best as NonNullable<typeof best>
  expect(tokens).toBeGreaterThan(blocksPerChat * blockTokens)

  const larger = catalogFolder().open()
  const cache = openWith(larger, capacityBytes + moreBytes)
  const after = await askInTurns(cache, larger, chats, rounds)
  // The last token of each prompt is always computed.
  expect(after - before).toBeGreaterThanOrEqual(tokens - chats * rounds)
  expect(larger.ghosts.advice().best).toBe(null)
})

test('where nothing comes back no room is advised, however much is evicted', async () => {
  const catalog = catalogFolder().open()
  const cache = openWith(catalog, 16 * mebibyte)
  for (let chat = 0; chat < 20; chat++) await ask(cache, catalog, chat)
  expect(catalog.ghosts.advice()).toMatchObject({ steps: [], best: null })
})

const hashOf = (at: number) => at.toString(16).padStart(16, '0') as BlockHash
const evicted = { tier: 'ssd', cause: 'room', tokenCount: 256, hasBoundary: false } as const

test('ghosts and advice survive a restart, and advice ends with its days', async () => {
  const { open, clock } = catalogFolder()
  const before = open()
  for (let at = 0; at < 5000; at++) {
    before.ghosts.onEvicted({ ...evicted, hash: hashOf(at), sizeBytes: mebibyte })
  }
  before.ghosts.missed({ blocks: [hashOf(4999)], needsBoundary: false, msPerToken: 2 })
  before.close()

  const after = open()
  await expect.poll(() => after.ghosts.whenEvicted(hashOf(4998))).toMatchObject({ cause: 'room' })
  await expect.poll(() => after.ghosts.whenEvicted(hashOf(1))).not.toBe(null)
  after.ghosts.missed({ blocks: [hashOf(1)], needsBoundary: false, msPerToken: 2 })
  expect(after.ghosts.advice().steps).toEqual([
    { tier: 'ssd', moreBytes: mebibyte, requests: 1, tokens: 256, prefillMs: 512 },
    { tier: 'ssd', moreBytes: 8192 * mebibyte, requests: 2, tokens: 512, prefillMs: 1024 },
  ])
  clock.ms += limits.adviceMs + 2 * 24 * 3_600_000
  expect(after.ghosts.advice().steps).toEqual([])
})

test('a model that needs more than rows is promised no token behind its last boundary', () => {
  const { ghosts } = catalogFolder().open()
  const sizeBytes = 4 * mebibyte
  for (const at of [3, 2, 1]) {
    ghosts.onEvicted({ ...evicted, hash: hashOf(at), sizeBytes, hasBoundary: at === 2 })
  }
  const blocks = [1, 2, 3].map(hashOf)
  ghosts.missed({ blocks, needsBoundary: true, msPerToken: null })
  expect(ghosts.advice().steps).toEqual([
    { tier: 'ssd', moreBytes: 2 * sizeBytes, requests: 1, tokens: 512, prefillMs: 0 },
  ])
})

test('only so many ghosts are remembered, the latest ones', () => {
  const { ghosts } = catalogFolder().open()
  for (let at = 0; at < limits.catalogGhosts + 10; at++) {
    ghosts.onEvicted({ ...evicted, hash: hashOf(at), sizeBytes: 1 })
  }
  expect(ghosts.whenEvicted(hashOf(9))).toBe(null)
  expect(ghosts.whenEvicted(hashOf(10))).not.toBe(null)
})

import { expect, it } from 'vitest'
import { createSessionVerbs } from '../../src/pipeline/session-verbs.ts'
import { createSessions } from '../../src/pipeline/sessions.ts'
import type { SessionName } from '../../src/pipeline/types.ts'
import { createMemorySsd } from '../support/memory-ssd.ts'
import { blockBytes, blockTokens, mebibyte, openToyCache } from '../support/open-toy-cache.ts'
import { beginLease, serveToy, tokensOf } from '../support/toy-engine.ts'

const shared = [0, 2 * blockTokens] as const
const promptOf = (chat: number) => tokensOf(shared, [chat * 100_000, 2 * blockTokens])
const nameOf = (id: string, tenant: string | null = null) => ({ tenant, id })
const signal = new AbortController().signal

function open({ ssdBlocks = 64, ramBlocks = 16 } = {}) {
  let nowMs = 1_000
  const now = () => nowMs
  const ssd = ssdBlocks === 0 ? null : createMemorySsd(ssdBlocks * mebibyte)
  const { cache } = openToyCache({ ssd, ramBlocks, now })
  const sessions = createSessions(now)
  const onEnded = (_: SessionName) => {}
  const verbs = createSessionVerbs({ cache, sessions, kindsOf: () => ['kv'], now, onEnded })
  const say = async (id: string, tokens: Uint32Array, tenant: string | null = null) => {
    nowMs += 1
    const { plan } = await serveToy(cache, tokens)
    await cache.flush()
    const lease = beginLease(cache, tokens)
    const prefix = lease.prefixId
    lease.release()
    sessions.note({ session: id, tenant, model: 'toy' } as never, { prefix } as never)
    return plan
  }
  const flood = async (chats = 12) => {
    for (let chat = 50; chat < 50 + chats; chat++) {
      nowMs += 1
      await serveToy(cache, tokensOf([chat * 100_000, 3 * blockTokens]))
      await cache.flush()
    }
  }
  const tierOf = (tokens: Uint32Array) => {
    const lease = beginLease(cache, tokens)
    lease.release()
    const { records, tier } = lease.plan
    return { blocks: records.length, tier }
  }
  return { cache, verbs, say, flood, tierOf, pass: (ms: number) => (nowMs += ms) }
}

it('a paused session finds its prefix in RAM for as long as it said, and no longer', async () => {
  const { verbs, say, flood, tierOf, pass } = open()
  await say('a', promptOf(1))
  expect(verbs.pause(nameOf('a'), 60_000)).toMatchObject({
    tokens: promptOf(1).length,
    tiers: ['ram', 'ssd'],
    keptInRamUntilMs: 61_001,
  })
  await flood()
  expect(tierOf(promptOf(1))).toEqual({ blocks: 4, tier: 'ram' })
  pass(60_000)
  await flood()
  expect(tierOf(promptOf(1)).tier).toBe('ssd')
})

it('a pause that does not fit keeps nothing, and says so', async () => {
  const { verbs, say } = open({ ramBlocks: 6 })
  await say('a', promptOf(1))
  expect(verbs.pause(nameOf('a'), 60_000).keptInRamUntilMs).toBeNull()
})

it('a resumed session has its prefix brought back into RAM before its request comes', async () => {
  const { verbs, say, flood, tierOf } = open()
  await say('a', promptOf(1))
  await flood()
  expect(tierOf(promptOf(1)).tier).toBe('ssd')
  const resumed = await verbs.resume(nameOf('a'), signal)
  expect(resumed.readBytes).toBeGreaterThanOrEqual(2 * blockBytes)
  expect(tierOf(promptOf(1))).toEqual({ blocks: 4, tier: 'ram' })
  expect((await verbs.resume(nameOf('a'), signal)).readBytes).toBe(0)
  expect((await verbs.resume(nameOf('a'), AbortSignal.abort())).readBytes).toBe(0)
})

it('a fork begins with the same prefix, which stays until its first request', async () => {
  const { verbs, say, flood, tierOf } = open({ ssdBlocks: 12 })
  await say('a', promptOf(1))
  expect(verbs.fork(nameOf('a'), 'b')).toMatchObject({ id: 'b', forkedFrom: 'a', model: 'toy' })
  expect(verbs.list().map(({ id, prefix }) => [id, prefix])).toEqual([
    ['b', verbs.list()[1]?.prefix],
    ['a', verbs.list()[0]?.prefix],
  ])
  await flood()
  expect(tierOf(promptOf(1)).blocks).toBe(4)
  expect(() => verbs.fork(nameOf('a'), 'b')).toThrowError(/new_id is the id of another session/)
})

it('what only an ended session had goes first, though it was used last', async () => {
  const { cache, verbs, say, flood, tierOf, pass } = open({ ssdBlocks: 13, ramBlocks: 13 })
  await say('a', promptOf(1))
  await say('b', promptOf(2))
  await say('a', promptOf(1))
  const ended = await verbs.end(nameOf('a'), false)
  expect(ended.ownBytes.ssd).toBe(2 * mebibyte)
  expect(ended.freedBytes).toEqual({ ram: 0, ssd: 0 })
  pass(1_000)
  await flood(3)
  expect([tierOf(promptOf(1)).blocks, tierOf(promptOf(2)).blocks]).toEqual([2, 4])
  expect(verbs.list().map(({ id }) => id)).toEqual(['b'])
  expect(cache.counters).toMatchObject({ failedWrites: 0, refusedWrites: 0 })
})

it('an ended session is evicted at once on request, but not what others share or go on from', async () => {
  const { verbs, say, tierOf } = open()
  await say('a', promptOf(1))
  await say('b', promptOf(2))
  verbs.fork(nameOf('b'), 'c')
  const kept = await verbs.end(nameOf('b'), true)
  expect(kept.ownBytes).toEqual({ ram: 0, ssd: 0 })
  const ended = await verbs.end(nameOf('a'), true)
  expect(ended.freedBytes).toEqual(ended.ownBytes)
  expect(ended.freedBytes.ssd).toBe(2 * mebibyte)
  expect([tierOf(promptOf(1)).blocks, tierOf(promptOf(2)).blocks]).toEqual([2, 4])
  await verbs.end(nameOf('c'), true)
  expect(tierOf(promptOf(2)).blocks).toBe(0)
})

it('a session is its own tenant’s: others neither see it nor end it', async () => {
  const { verbs, say } = open()
  await say('a', promptOf(1), 'ada')
  expect(verbs.list('bob')).toEqual([])
  expect(verbs.list('ada')).toHaveLength(1)
  const unknown = expect.objectContaining({ code: 'PREFIXD_E_SESSION_NOT_FOUND' })
  expect(() => verbs.pause(nameOf('a', 'bob'), null)).toThrowError(unknown)
  expect(() => verbs.fork(nameOf('a'), 'b')).toThrowError(unknown)
  await expect(verbs.end(nameOf('a', 'bob'), true)).rejects.toEqual(unknown)
  await expect(verbs.resume(nameOf('a', 'bob'), signal)).rejects.toEqual(unknown)
})

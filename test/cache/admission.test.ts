/** What goes to the SSD when less may be written than there is. */
import { expect, it } from 'vitest'
import { type Cache, leavesOf } from '../../cache/index.ts'
import { createMemorySsd, type MemorySsd } from '../support/memory-ssd.ts'
import { blockBytes, blockTokens, mebibyte, openToyCache } from '../support/open-toy-cache.ts'
import { beginLease, saveAll, serveToy, tokensOf } from '../support/toy-engine.ts'

const hourMs = 3_600_000

/** So many blocks may be written at once: half of them by prompts that nobody asked before. */
function open(burstBlocks: number, ssd = createMemorySsd(64 * mebibyte)) {
  const clock = { nowMs: Date.UTC(2026, 0, 1) }
  const { cache } = openToyCache({
    ssd,
    ssdWritesPerDayBytes: 4 * burstBlocks * blockBytes,
    now: () => clock.nowMs,
  })
  return { cache, ssd, clock }
}

/** Whole blocks that no other prompt has, and one token more. */
const prompt = (number: number, blocks = 2) =>
  tokensOf([number * 100_000, blocks * blockTokens + 1])

async function serve(cache: Cache, tokens: ReturnType<typeof prompt>, spill = true) {
  const served = await serveToy(cache, tokens.subarray(0, -1), { spill })
  await cache.flush()
  return served
}

const writtenBlocks = (ssd: MemorySsd) => ssd.usage().writtenBytes / blockBytes

/** Tokens of a prompt that a restart finds. */
async function afterRestart(ssd: MemorySsd, tokens: ReturnType<typeof prompt>) {
  const { cache } = openToyCache({ ssd: ssd.reopen() })
  return (await serveToy(cache, tokens)).restored
}

it('says of what it may not write neither that it is saved nor that it is lost', async () => {
  const { cache, ssd } = open(4)
  expect(await serve(cache, prompt(1))).toMatchObject({ savedTokens: 2 * blockTokens })
  expect(await serve(cache, prompt(2))).toMatchObject({ savedTokens: 0 })
  expect(await serve(cache, prompt(2))).toMatchObject({ restored: 2 * blockTokens - 1 })
  expect(cache.ssdWrites()).toMatchObject({ refusedTodayBytes: 2 * blockBytes })
  expect(await afterRestart(ssd, prompt(1))).toBe(2 * blockTokens)
})

it('lets in what is used a second time, with all that it stands on', async () => {
  const { cache, ssd } = open(8)
  await serve(cache, prompt(1, 4))
  expect(await serve(cache, prompt(2, 3))).toMatchObject({ savedTokens: 0 })
  await serve(cache, prompt(2, 3))
  expect(await afterRestart(ssd, prompt(2, 3))).toBe(3 * blockTokens)
})

it('lets in what comes again after it had gone, as it was used before', async () => {
  const { cache, ssd } = openRetention()
  await serve(cache, prompt(1))
  await serve(cache, prompt(2))
  await cache.evict([...cache.index.blocks()].reverse(), null)
  expect(await serve(cache, prompt(2))).toMatchObject({ restored: 0, savedTokens: 2 * blockTokens })
  expect(writtenBlocks(ssd)).toBe(4)
})

function openRetention() {
  const ssd = createMemorySsd(64 * mebibyte)
  const ssdWritesPerDayBytes = 20 * blockBytes
  const { cache } = openToyCache({ ssd, ssdWritesPerDayBytes, eviction: 'retention', now: () => 0 })
  return { cache, ssd }
}

it('writes no child whose parent had to stay, before the parent goes with it', async () => {
  const { cache, ssd, clock } = open(4)
  await serve(cache, prompt(1))
  await serve(cache, prompt(2, 1))
  await serve(cache, prompt(2, 2))
  expect(writtenBlocks(ssd)).toBe(3)
  clock.nowMs += 24 * hourMs
  await serve(cache, prompt(2, 3))
  expect(await afterRestart(ssd, prompt(2, 3))).toBe(3 * blockTokens)
})

it('lets in what is pinned before anything else', async () => {
  const { cache, ssd } = open(4)
  await serve(cache, prompt(1))
  await serve(cache, prompt(2))
  await serve(cache, prompt(2))
  await serve(cache, prompt(3, 1))
  const [pinned] = [...leavesOf(cache.index)].slice(-1)
  expect(pinned?.records[0]?.ssd).toBe('waiting')
  const before = writtenBlocks(ssd)
  cache.pin(pinned?.hash as never, { untilMs: null, isExact: false })
  await cache.flush()
  expect(writtenBlocks(ssd)).toBe(before + 1)
})

it('writes at the end what is in RAM only, the most worth keeping first, within the budget', async () => {
  const { cache, ssd, clock } = open(4)
  for (const number of [1, 2, 3]) {
    clock.nowMs += 1
    await serve(cache, prompt(number))
  }
  expect(writtenBlocks(ssd)).toBe(2)
  await cache.close(1_000)
  expect(writtenBlocks(ssd)).toBe(4)
  expect(await afterRestart(ssd, prompt(3))).toBe(2 * blockTokens)
  expect(await afterRestart(ssd, prompt(2))).toBe(0)
})

it('never writes at the end what a client wants kept off the disk', async () => {
  const { cache, ssd } = open(4)
  await serve(cache, prompt(1), false)
  await cache.close(1_000)
  expect(writtenBlocks(ssd)).toBe(0)
})

it('remembers over a restart what was written', async () => {
  const { cache, ssd, clock } = open(4)
  await serve(cache, prompt(1))
  await cache.close()
  const again = open(4, ssd.reopen())
  expect(again.cache.ssdWrites()).toMatchObject({ todayBytes: 2 * blockBytes })
  expect(await serve(again.cache, prompt(2))).toMatchObject({ savedTokens: 0 })
  again.clock.nowMs = clock.nowMs + 24 * hourMs
  expect(await serve(again.cache, prompt(3))).toMatchObject({ savedTokens: 2 * blockTokens })
})

it('replaces no bytes on the disk that it may not write', async () => {
  const { cache } = open(4)
  const tokens = prompt(1, 1).subarray(0, -1)
  const save = async (isOnGrid: boolean) => {
    const lease = beginLease(cache, tokens, { read: false })
    const committed = await saveAll(cache, lease, tokens, 0, isOnGrid)
    lease.release()
    await cache.flush()
    const [block] = cache.index.blocks()
    return { committed, grid: block?.grid, ssd: block?.records[0]?.ssd }
  }
  await save(false)
  await serve(cache, prompt(2, 1))
  expect(await save(true)).toEqual({ committed: 0, grid: false, ssd: 'stored' })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Cache, reckon } from '../../cache/index.ts'
import { isBlock } from '../../cache/prefix-index.ts'
import type { Namespace } from '../../cache/types.ts'
import { createMemorySsd, type MemorySsd } from '../support/memory-ssd.ts'
import { blockTokens, mebibyte, openToyCache } from '../support/open-toy-cache.ts'
import { beginLease, noRates, serveToy, tokensOf } from '../support/toy-engine.ts'

/** Two whole blocks that no other prompt has. */
const prompt = (number: number) => tokensOf([number * 100_000, 2 * blockTokens])

interface Opened {
  readonly ssd?: boolean
  readonly blocks?: number
  readonly content?: MemorySsd
}

let nowMs = 1_800_000_000_000

function open(eviction: 'retention' | 'lru', more: Opened = {}) {
  const empty = () => (more.ssd === true ? createMemorySsd((more.blocks ?? 6) * mebibyte) : null)
  const ssd = more.content ?? empty()
  const ramBlocks = more.ssd === true ? 64 : (more.blocks ?? 6)
  const { cache } = openToyCache({ eviction, ramBlocks, ssd, now: () => nowMs })
  const serve = async (number: number, options: Parameters<typeof serveToy>[2] = {}) => {
    nowMs += 1000
    const served = await serveToy(cache, prompt(number), options)
    await cache.flush()
    return served
  }
  const reopen = () => open(eviction, { ...more, content: (ssd as MemorySsd).reopen() })
  return { cache, serve, reopen }
}

const isKept = async (cache: Cache, number: number, namespace?: Namespace) => {
  const options = namespace === undefined ? {} : { namespace }
  return (await serveToy(cache, prompt(number), options)).restored > 0
}

describe.each([
  ['RAM', false],
  ['SSD', true],
] as const)('a full tier: %s', (_, ssd) => {
  /** Used four times, then two others, and room for three. */
  async function overfilled(eviction: 'retention' | 'lru') {
    const { cache, serve } = open(eviction, { ssd })
    for (let i = 0; i < 4; i++) await serve(1)
    for (const other of [2, 3, 4]) await serve(other)
    if (ssd) await cache.evict([...cache.index.blocks()].reverse(), 'ram')
    return cache
  }

  it('keeps what was used often, though others were used later', async () => {
    expect(await isKept(await overfilled('retention'), 1)).toBe(true)
  })

  it('lets it go where the last use alone decides', async () => {
    expect(await isKept(await overfilled('lru'), 1)).toBe(false)
  })
})

describe('retention', () => {
  const slow = { ...noRates, prefillTokensPerMs: 0.01 }
  const fast = { ...noRates, prefillTokensPerMs: 10 }
  const other = 'b'.repeat(64) as Namespace

  it('keeps the prefix of a slow model longer than a later one of a fast model', async () => {
    const { cache, serve } = open('retention')
    await serve(1, { rates: slow })
    for (const number of [2, 3, 4]) await serve(number, { rates: fast, namespace: other })
    expect(await isKept(cache, 1)).toBe(true)
    expect(await isKept(cache, 2, other)).toBe(false)
  })

  it('knows after a restart what computing costs, once it is told the speeds', async () => {
    for (const isTold of [true, false]) {
      const { cache: before, serve, reopen } = open('retention', { ssd: true })
      await serve(1, { rates: slow })
      for (const number of [2, 3]) await serve(number, { rates: fast, namespace: other })
      await before.close()
      const after = reopen()
      const turn = async () => {}
      for (const [rates, isOther] of [
        [slow, false],
        [fast, true],
      ] as const) {
        const isOwn = (namespace: Namespace) => (namespace === other) === isOther
        const { prefillTokensPerMs } = rates
        if (isTold) await reckon(after.cache.upkeep, { isOwn, prefillTokensPerMs, turn })
      }
      await after.serve(4, { rates: fast, namespace: other })
      await after.cache.evict([...after.cache.index.blocks()].reverse(), 'ram')
      expect(await isKept(after.cache, 1)).toBe(isTold)
    }
  })

  it('remembers the uses of what has gone', async () => {
    const { cache, serve } = open('retention')
    for (let i = 0; i < 4; i++) await serve(1)
    await cache.evict([...cache.index.blocks()].reverse(), null)
    await serve(1)
    for (const later of [2, 3, 4]) await serve(later)
    expect(await isKept(cache, 1)).toBe(true)
  })

  it('does not count what was only read ahead as a use', async () => {
    const { cache, serve } = open('retention')
    await serve(1)
    for (let i = 0; i < 8; i++) {
      beginLease(cache, prompt(1)).release()
    }
    for (const later of [2, 3, 4]) await serve(later)
    expect(await isKept(cache, 1)).toBe(false)
  })

  it('evicts leaves first, whatever was used how often and at which speed', async () => {
    const requests = fc.array(
      fc.record({
        path: fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 1, maxLength: 4 }),
        speed: fc.constantFrom(noRates, slow, fast),
        pauseMs: fc.integer({ min: 0, max: 5000 }),
      }),
      { minLength: 1, maxLength: 25 },
    )
    await fc.assert(
      fc.asyncProperty(requests, async (all) => {
        let nowMs = 0
        const options = { ramBlocks: 5, ssd: null, now: () => nowMs }
        const { cache } = openToyCache({ eviction: 'retention', ...options })
        for (const { path, speed, pauseMs } of all) {
          nowMs += pauseMs
          const tokens = tokensOf(...path.map((step) => [step * 5000, blockTokens] as const))
          await serveToy(cache, tokens, { rates: speed })
          const [ram] = cache.usage()
          expect(ram?.usedBytes).toBeLessThanOrEqual(ram?.capacityBytes ?? 0)
          for (const { parent } of cache.index.blocks()) {
            const rows = isBlock(parent) ? parent.records[0] : null
            expect(rows === null || rows?.extent != null).toBe(true)
          }
        }
      }),
      { numRuns: 50 },
    )
  })
})

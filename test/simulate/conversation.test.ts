import { beforeAll, describe, expect, it } from 'vitest'
import { conversationTrace, traceBlockTokens } from '../../bench/conversation-trace.ts'
import { policies } from '../../src/simulate/policies.ts'
import { type Simulation, simulate } from '../../src/simulate/simulate.ts'
import { buildTrace, type Trace } from '../../src/simulate/trace.ts'

/** In blocks; a ninth, an eighth and a sixth of what all of the trace takes. */
const sizes = [20_000, 24_000, 32_000]

describe("a trace of the shape of Mooncake's conversations", () => {
  const requests = conversationTrace({ seed: 1, requests: 12_031 })
  const builder = buildTrace({ blockTokens: traceBlockTokens, bytesPerToken: 1 })
  for (const [index, request] of requests.entries()) builder.add(JSON.stringify(request), index + 1)
  const trace: Trace = builder.trace()
  let result: Simulation

  beforeAll(async () => {
    result = await simulate(trace, {
      sizesBytes: [4000, ...sizes, 68_000].map((blocks) => blocks * traceBlockTokens),
      policies,
      signal: new AbortController().signal,
      onProgress: () => {},
    })
  })

  const rates = (blocks: number) => {
    const found = result.sizes.find(({ sizeBytes }) => sizeBytes === blocks * traceBlockTokens)
    const rateOf = (policy: string) =>
      found?.served.find((it) => it.policy === policy)?.hitRate ?? 0
    return { lru: rateOf('lru'), retention: rateOf('retention'), optimum: rateOf('optimum') }
  }

  it('has the figures that were measured on the original', () => {
    expect(requests).toHaveLength(12_031)
    const meanTokens = trace.promptTokens / requests.length
    expect(meanTokens).toBeGreaterThan(11_500)
    expect(meanTokens).toBeLessThan(12_500)
    // Of the original: with room for all, and by LRU with 4,000 blocks and with 64,000 more.
    expect(result.hitRateMax).toBeCloseTo(0.366, 1.7)
    expect(rates(4000).lru).toBeCloseTo(0.087, 1.7)
    expect(rates(68_000).lru).toBeCloseTo(0.359, 1.7)
  })

  it('is the same for a seed, and another one for another seed', () => {
    const short = (seed: number) => conversationTrace({ seed, requests: 300 })
    expect(short(5)).toEqual(short(5))
    expect(short(5)).not.toEqual(short(6))
  })

  for (const blocks of sizes) {
    it(`is served at least 0.75 of the optimum, and more than by LRU, with ${blocks} blocks`, () => {
      const { lru, retention, optimum } = rates(blocks)
      expect(retention / optimum).toBeGreaterThanOrEqual(0.75)
      expect(retention).toBeGreaterThan(lru)
    })
  }

  it('is served more than by LRU where hardly anything fits, too', () => {
    const { lru, retention } = rates(4000)
    expect(retention).toBeGreaterThan(1.1 * lru)
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { optimum } from '../../src/simulate/optimum.ts'
import { policies } from '../../src/simulate/policies.ts'
import { replay } from '../../src/simulate/replay.ts'
import { buildTrace, type Trace } from '../../src/simulate/trace.ts'

const blockBytes = 10

interface Request {
  readonly pauseMs: number
  /** The way from the root down a tree in which every block has a few children. */
  readonly path: readonly number[]
  readonly sizeFactor: number
}

const requests = (sizes: fc.Arbitrary<number>) =>
  fc.array(
    fc.record({
      pauseMs: fc.integer({ min: 0, max: 500 }),
      path: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 1, maxLength: 7 }),
      sizeFactor: sizes,
    }),
    { minLength: 1, maxLength: 60 },
  )

/** Models keep blocks of several sizes, and are told apart by their names. */
function traceOf(all: readonly Request[]): Trace {
  const builder = buildTrace({ blockTokens: 1, bytesPerToken: blockBytes })
  let timestamp = 0
  for (const [index, { pauseMs, path, sizeFactor }] of all.entries()) {
    timestamp += pauseMs
    const hash_ids = path.map((_, depth) => path.slice(0, depth + 1).join('.'))
    const model = `model-${sizeFactor}`
    const block = { block_bytes: blockBytes * sizeFactor, block_ms: 100 }
    const line = { timestamp, input_length: path.length, hash_ids, model, ...block }
    builder.add(JSON.stringify(line), index + 1)
  }
  return builder.trace()
}

const capacities = fc.integer({ min: 1, max: 40 })
const cachePolicies = policies.filter((policy) => policy !== 'optimum')

describe('a replay', () => {
  it('never keeps more than its size, nor a block without the one before it', () => {
    const factors = fc.constantFrom(1, 3)
    fc.assert(
      fc.property(requests(factors), capacities, (all, capacity) => {
        const trace = traceOf(all)
        for (const policy of cachePolicies) {
          const stored = new Set<number>()
          const tier = replay(trace, policy, capacity * blockBytes, (gone) => {
            const orphans = [...stored].filter((block) => trace.blocks[block]?.parent === gone)
            expect(orphans).toEqual([])
            stored.delete(gone)
          })
          for (const { blocks } of trace.requests) {
            const before = blocks.findIndex((block) => !stored.has(block))
            expect(tier.next()).toBe(before < 0 ? blocks.length : before)
            expect(tier.usedBytes).toBeLessThanOrEqual(capacity * blockBytes)
            fill(stored, blocks, trace, tier.usedBytes)
          }
        }
      }),
    )
  })

  it('serves whatever was asked for before where there is room for all', () => {
    fc.assert(
      fc.property(requests(fc.constant(1)), (all) => {
        const trace = traceOf(all)
        const repeated = trace.askedBlocks - trace.blocks.length
        for (const policy of cachePolicies) {
          expect(hits(replay(trace, policy, 1e9), trace)).toBe(repeated)
        }
        expect(hits(optimum(trace, 1e9), trace)).toBe(repeated)
      }),
    )
  })

  it('serves no more than the optimum, by whichever policy', () => {
    fc.assert(
      fc.property(requests(fc.constant(1)), capacities, (all, capacity) => {
        const trace = traceOf(all)
        const most = hits(optimum(trace, capacity * blockBytes), trace)
        for (const policy of cachePolicies) {
          const served = hits(replay(trace, policy, capacity * blockBytes), trace)
          expect(served).toBeLessThanOrEqual(most)
        }
      }),
    )
  })

  it('has an optimum that no choice of what stays exceeds', () => {
    fc.assert(
      fc.property(smallRequests, fc.integer({ min: 1, max: 3 }), (all, capacity) => {
        const trace = traceOf(all)
        expect(hits(optimum(trace, capacity * blockBytes), trace)).toBe(best(trace, capacity))
      }),
      { numRuns: 60 },
    )
  })
})

/** What the tier stores beyond what the test has seen: a beginning of what is missing. */
function fill(
  stored: Set<number>,
  blocks: readonly number[],
  trace: Trace,
  usedBytes: number,
): void {
  const sizeOf = (block: number) => trace.blocks[block]?.sizeBytes ?? 0
  let knownBytes = [...stored].reduce((sum, block) => sum + sizeOf(block), 0)
  for (const block of blocks) {
    if (stored.has(block)) continue
    if (knownBytes + sizeOf(block) > usedBytes) break
    stored.add(block)
    knownBytes += sizeOf(block)
  }
  expect(knownBytes).toBe(usedBytes)
}

function hits(tier: { next(): number }, trace: Trace): number {
  return trace.requests.reduce((sum) => sum + tier.next(), 0)
}

const smallRequests = fc.array(
  fc.record({
    pauseMs: fc.constant(1),
    path: fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 1, maxLength: 2 }),
    sizeFactor: fc.constant(1),
  }),
  { minLength: 1, maxLength: 7 },
)

/** Tries every set of blocks that could stay after each request. */
function best(trace: Trace, capacity: number): number {
  let states = new Map<string, number>([['', 0]])
  for (const { blocks } of trace.requests) {
    const next = new Map<string, number>()
    for (const [key, served] of states) {
      const stored = new Set(key === '' ? [] : key.split(',').map(Number))
      const missing = blocks.findIndex((block) => !stored.has(block))
      const total = served + (missing < 0 ? blocks.length : missing)
      const known = [...new Set([...stored, ...blocks])].sort((a, b) => a - b)
      for (let mask = 0; mask < 2 ** known.length; mask++) {
        const kept = known.filter((_, bit) => mask & (1 << bit))
        if (kept.length > capacity) continue
        const name = kept.join(',')
        next.set(name, Math.max(next.get(name) ?? 0, total))
      }
    }
    states = next
  }
  return Math.max(...states.values())
}

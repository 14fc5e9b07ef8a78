import { expect, test } from 'vitest'
import { simulate } from '../../bench/faults/simulation.ts'
import type { SsdTier } from '../../cache/tiers/tier.ts'

const quietly = { episode: 0, onProgress: () => {} }
const seed = Number(process.env.PREFIXD_TEST_SEED ?? 5)

test('on a disk that fails and in a service that is killed nothing is wrong, lost or leaked', async () => {
  const report = await simulate({ ...quietly, seed, steps: 5_000 })
  expect(report.failure).toBeNull()
  expect(report.steps).toBe(5_000)
  // It has met what it is about.
  const { kills, powerCuts, workerDeaths, damages, resizes, fullShares, ...found } = report.counts
  const { askedWhole, restoredTokens } = found
  const mishaps = [kills, powerCuts, workerDeaths, damages, resizes, fullShares]
  for (const count of [...mishaps, askedWhole, restoredTokens]) {
    expect(count).toBeGreaterThan(10)
  }
}, 600_000)

test('one seed is one history, and another seed another', async () => {
  const first = await simulate({ ...quietly, seed, steps: 300 })
  expect((await simulate({ ...quietly, seed, steps: 300 })).digest).toBe(first.digest)
  expect((await simulate({ ...quietly, seed: seed + 1, steps: 300 })).digest).not.toBe(first.digest)
})

/** Mistakes that a tier could make, each of which the simulation has to find. */
const mistakes: readonly (readonly [string, (tier: SsdTier) => SsdTier, RegExp])[] = [
  [
    'a write that is answered before it is committed',
    (tier) => ({
      ...tier,
      async write(...given) {
        tier.write(...given).catch(() => {})
      },
    }),
    /tokens of \d+ were found|is not in LMDB/,
  ],
  [
    'a removal that never happens',
    (tier) => ({ ...tier, remove: async () => 0 }),
    /in LMDB, and nobody knows it/,
  ],
  [
    'checksums that nobody looks at',
    (tier) => ({ ...tier, read: (key, into) => tier.read(key, into).catch(() => {}) }),
    /wrong answer/,
  ],
]

test.each(mistakes)('%s is found', async (_name, spoil, message) => {
  const report = await simulate({ ...quietly, seed, steps: 3_000, spoil })
  expect(report.failure?.message).toMatch(message)
  expect(report.failure?.lines.length).toBeGreaterThan(0)
})

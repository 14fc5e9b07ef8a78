import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { flatnessOf, slopeOf } from '../../bench/soak/flatness.ts'
import { soak, soakFindings, soakTable } from '../../bench/soak/soak.ts'

const series = (valueAt: (index: number) => number) =>
  Array.from({ length: 60 }, (_, index) => ({ atMs: index * 1000, value: valueAt(index) }))

describe('a series of measurements', () => {
  const tolerance = { share: 0.05, least: 0 }

  test('that goes up and down is flat, whatever single points do', () => {
    const wild = series((index) => 100 + (index % 7) + (index % 20 === 3 ? 400 : 0))
    expect(flatnessOf(wild, tolerance)).toMatchObject({ isFlat: true, max: 503 })
  })

  test('that rises by more than its tolerance is not, however much it swings', () => {
    const rising = series((index) => 100 + index * 0.2 + (index % 2) * 3)
    const { isFlat, growth } = flatnessOf(rising, tolerance)
    expect(isFlat).toBe(false)
    expect(growth).toBeCloseTo(11.8, 0)
  })

  test('that shrinks is flat', () => {
    expect(
      flatnessOf(
        series((index) => 100 - index),
        tolerance,
      ).isFlat,
    ).toBe(true)
    expect(slopeOf(series((index) => 100 - index))).toBeCloseTo(-0.001, 9)
  })

  test('of handles may not even grow by two', () => {
    const leaking = series((index) => 20 + Math.floor(index / 20))
    expect(flatnessOf(leaking, { share: 0, least: 1 }).isFlat).toBe(false)
  })
})

test.skipIf(process.platform !== 'linux')(
  'a service under traffic several times its budget keeps its files and handles as they are',
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'prefixd-soak-'))
    const owned = new Set<() => Promise<void>>()
    onTestFinished(async () => {
      for (const end of owned) await end()
      rmSync(directory, { recursive: true, force: true })
    })
    const own = (end: () => Promise<void>): (() => void) => {
      owned.add(end)
      return () => void owned.delete(end)
    }
    const scratch = { directory, own }
    const lengths = { durationMs: 10_000, sampleEveryMs: 250 }
    const report = await soak({ seed: 4, ...lengths, scratch, onProgress: () => {} })
    // In so short a time memory still fills, and how often the tier is filled is the machine's.
    const later = /memory|several times/
    const findings = soakFindings(report).filter(({ claim }) => !later.test(claim))
    expect(findings.filter(({ holds }) => !holds)).toEqual([])
    expect(soakTable(report).join('\n')).toMatch(/^service handles .* flat$/m)
  },
)

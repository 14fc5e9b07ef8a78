import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createExtents, type Run } from '../../cache/tiers/extents.ts'

const totalGranules = 48

/** The same rules, written without cleverness: one owner per granule. */
class NaiveExtents {
  readonly owners: (number | null)[] = Array(totalGranules).fill(null)
  end = totalGranules

  get behindEnd(): number {
    return this.owners.filter((owner, at) => owner !== null && at >= this.end).length
  }

  gapsBehindEnd(): number[] {
    return [...this.owners.keys()].filter((at) => this.owners[at] === null && at >= this.end)
  }

  freeRuns(): { start: number; count: number }[] {
    const runs: { start: number; count: number }[] = []
    for (const [start, owner] of this.owners.slice(0, this.end).entries()) {
      const last = runs.at(-1)
      if (owner !== null) continue
      if (last !== undefined && last.start + last.count === start) last.count += 1
      else runs.push({ start, count: 1 })
    }
    return runs
  }

  allocate(count: number, generation: number): number | null {
    const fitting = this.freeRuns().filter((run) => run.count >= count)
    fitting.sort((a, b) => a.count - b.count || a.start - b.start)
    const start = fitting[0]?.start ?? null
    if (start !== null) this.owners.fill(generation, start, start + count)
    return start
  }

  free(run: Run): void {
    this.owners.fill(null, run.start, run.start + run.count)
  }
}

const countFrom = (from: number, to: number): number[] =>
  Array.from({ length: to - from }, (_, i) => from + i)

const steps = fc.array(
  fc.oneof(
    fc.record({ allocate: fc.integer({ min: 1, max: 12 }) }),
    fc.record({ freeAt: fc.nat({ max: 30 }) }),
    fc.record({ end: fc.integer({ min: 1, max: totalGranules }) }),
  ),
  { maxLength: 120 },
)

test('any order of allocations, frees and ends gives the runs that a naive best fit gives', () => {
  fc.assert(
    fc.property(steps, (script) => {
      const extents = createExtents(totalGranules)
      const naive = new NaiveExtents()
      const live: Run[] = []
      let lastGeneration = 0
      for (const step of script) {
        if ('allocate' in step) {
          const run = extents.allocate(step.allocate)
          const start = naive.allocate(step.allocate, run?.generation ?? -1)
          expect(run?.start ?? null).toBe(start)
          if (run === null) continue
          expect(run.generation).toBeGreaterThan(lastGeneration)
          lastGeneration = run.generation
          live.push(run)
        } else if ('end' in step) {
          extents.endAt(step.end)
          naive.end = step.end
        } else if (live.length > 0) {
          const [run] = live.splice(step.freeAt % live.length, 1) as [Run]
          extents.free(run)
          naive.free(run)
          expect(extents.isCurrent(run)).toBe(false)
        }
        expect(extents.behindEnd).toBe(naive.behindEnd)
        const gaps = extents.gapsBehindEnd().flatMap(([from, to]) => countFrom(from, to))
        expect(gaps).toEqual(naive.gapsBehindEnd())
        expect(extents.used).toBe(naive.owners.filter((owner) => owner !== null).length)
        expect(extents.largestFree).toBe(Math.max(0, ...naive.freeRuns().map((run) => run.count)))
        for (const run of live) {
          expect(extents.isCurrent(run)).toBe(true)
          const owners = new Set(naive.owners.slice(run.start, run.start + run.count))
          expect([...owners]).toEqual([run.generation])
          expect(extents.isBehindEnd(run)).toBe(run.start + run.count > naive.end)
        }
      }
    }),
  )
})

test('freeing everything in any order leaves one run', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 5 })),
      fc.infiniteStream(fc.nat()),
      (counts, picks) => {
        const extents = createExtents(totalGranules)
        const live = counts.map((count) => extents.allocate(count)).filter((run) => run !== null)
        while (live.length > 0) {
          extents.free(live.splice((picks.next().value as number) % live.length, 1)[0] as Run)
        }
        expect(extents.largestFree).toBe(totalGranules)
        expect(extents.used).toBe(0)
      },
    ),
  )
})

test('freeing twice, or with the generation of a former owner, is refused', () => {
  const extents = createExtents(4)
  const first = extents.allocate(4) as Run
  extents.free(first)
  expect(() => extents.free(first)).toThrow('not owned')
  const second = extents.allocate(4) as Run
  expect(second.start).toBe(first.start)
  expect(() => extents.free(first)).toThrow('not owned')
  expect(extents.isCurrent(second)).toBe(true)
})

test('counts that are no whole positive numbers are refused', () => {
  const extents = createExtents(4)
  for (const count of [0, -1, 1.5, Number.NaN]) {
    expect(() => extents.allocate(count)).toThrow(RangeError)
  }
  expect(() => createExtents(0)).toThrow(RangeError)
})

/** The budget of SSD writes, with a clock of the test's own. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Urgency, WriteBudget } from '../../cache/write-budget.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const perDayBytes = 100_000
const startMs = Date.UTC(2026, 0, 1)

const opened = (saved: string | null = null, nowMs = startMs) =>
  new WriteBudget({ perDayBytes, saved, nowMs })

const asks = fc.array(
  fc.record({
    pauseMs: fc.integer({ min: 0, max: 9 * hourMs }),
    sizeBytes: fc.integer({ min: 1, max: 30_000 }),
    urgency: fc.constantFrom<Urgency>('kept', 'again', 'first'),
    restarts: fc.boolean(),
  }),
  { maxLength: 200 },
)

describe('the budget of SSD writes', () => {
  it('is never exceeded in any 24 hours, whatever is asked for and however often it restarts', () => {
    fc.assert(
      fc.property(asks, (list) => {
        let budget = opened()
        let nowMs = startMs
        const written: { atMs: number; sizeBytes: number }[] = []
        for (const { pauseMs, sizeBytes, urgency, restarts } of list) {
          nowMs += pauseMs
          if (restarts) budget = opened(budget.saved, nowMs)
          if (budget.take(sizeBytes, urgency, nowMs)) written.push({ atMs: nowMs, sizeBytes })
        }
        for (const { atMs } of written) {
          const inWindow = written.filter((it) => it.atMs >= atMs && it.atMs < atMs + dayMs)
          const sumBytes = inWindow.reduce((sum, it) => sum + it.sizeBytes, 0)
          expect(sumBytes).toBeLessThanOrEqual(perDayBytes)
        }
      }),
    )
  })

  it('lets a quarter of a day be written at once, and no byte more', () => {
    const budget = opened()
    expect(budget.take(25_000, 'kept', startMs)).toBe(true)
    expect(budget.take(1, 'kept', startMs)).toBe(false)
  })

  it('comes back evenly, a quarter of the bucket in two hours', () => {
    const budget = opened()
    budget.take(25_000, 'kept', startMs)
    expect(budget.usage(startMs + 2 * hourMs).leftBytes).toBe(6_250)
    expect(budget.usage(startMs + 30 * dayMs).leftBytes).toBe(25_000)
  })

  it('leaves half to what was used before, and an eighth of that to what is to be kept', () => {
    const budget = opened()
    expect(budget.take(12_500, 'first', startMs)).toBe(true)
    expect(budget.take(1, 'first', startMs)).toBe(false)
    expect(budget.take(9_375, 'again', startMs)).toBe(true)
    expect(budget.take(1, 'again', startMs)).toBe(false)
    expect(budget.take(3_125, 'kept', startMs)).toBe(true)
  })

  it('begins to count anew at midnight, and the bucket knows nothing of midnight', () => {
    const budget = opened()
    const eveningMs = startMs + 23 * hourMs
    budget.take(25_000, 'kept', eveningMs)
    budget.refuse(1_000, eveningMs)
    expect(budget.usage(eveningMs)).toMatchObject({ todayBytes: 25_000, refusedTodayBytes: 1_000 })
    const nextDay = budget.usage(startMs + dayMs)
    expect(nextDay).toMatchObject({ todayBytes: 0, refusedTodayBytes: 0, leftBytes: 3_125 })
  })

  it('is not full again after a restart, and has nothing where it cannot read what was', () => {
    const budget = opened()
    budget.take(25_000, 'kept', startMs)
    const again = opened(budget.saved)
    expect(again.usage(startMs)).toMatchObject({ leftBytes: 0, todayBytes: 25_000 })
    expect(opened('{"leftBytes":').usage(startMs).leftBytes).toBe(0)
  })

  it('is neither filled nor stopped by a clock that is put back', () => {
    const budget = opened()
    budget.take(25_000, 'kept', startMs + dayMs)
    expect(budget.usage(startMs).leftBytes).toBe(0)
    expect(budget.usage(startMs + 8 * hourMs).leftBytes).toBe(25_000)
  })

  it('says how much a day sees by the last 30 days', () => {
    const budget = opened()
    for (let day = 0; day < 60; day++) {
      budget.take(day < 30 ? 20_000 : 10_000, 'kept', startMs + day * dayMs)
    }
    const usage = budget.usage(startMs + 60 * dayMs - 1)
    expect(usage.meanPerDayBytes).toBe(10_000)
  })

  it('holds from the moment that it is set: what the last day wrote without one counts', () => {
    const unlimited = new WriteBudget({ perDayBytes: null, saved: null, nowMs: startMs })
    expect(unlimited.take(10 * perDayBytes, 'first', startMs)).toBe(true)
    expect(unlimited.usage(startMs)).toMatchObject({ perDayBytes: null, leftBytes: null })
    unlimited.change(perDayBytes, startMs)
    expect(unlimited.take(1, 'kept', startMs)).toBe(false)
    expect(unlimited.usage(startMs + dayMs).leftBytes).toBe(18_750 + 6_250)
  })
})

import { describe, expect, it } from 'vitest'
import { figureLines, figuresJson, isKept, pairedFigure, plainFigure } from '../../bench/figures.ts'
import { median, quantile } from '../../bench/median.ts'

const about = {
  id: 'restore_over_memcpy',
  what: 'RAM tier → engine',
  unit: 'GB/s',
  limitWhat: 'memcpy',
  promise: { bound: 'at least', value: 0.7 },
} as const

describe('a figure', () => {
  it('takes its ratio from pairs, so that a disturbance of both sides leaves it as it is', () => {
    const pairs = [
      { value: 8, limit: 10 },
      { value: 0.8, limit: 1 },
      { value: 4, limit: 5 },
    ]
    expect(pairedFigure(about, pairs)).toMatchObject({ value: 4, limit: { value: 5 }, ratio: 0.8 })
  })

  it('keeps its promise at the bound, and breaks it beyond', () => {
    const ofRatio = (ratio: number) => pairedFigure(about, [{ value: ratio, limit: 1 }])
    expect(isKept(ofRatio(0.7))).toBe(true)
    expect(isKept(ofRatio(0.69))).toBe(false)
    const most = {
      id: 'a',
      what: 'a',
      unit: 'ms',
      promise: { bound: 'at most', value: 5 },
    } as const
    expect(isKept(plainFigure(most, 5))).toBe(true)
    expect(isKept(plainFigure(most, 5.1))).toBe(false)
    expect(isKept(plainFigure({ ...most, promise: null }, 9))).toBeNull()
  })

  it('says on its line what was promised and whether it was kept', () => {
    const lines = figureLines([pairedFigure(about, [{ value: 6, limit: 10 }])])
    expect(lines[1]).toMatch(
      /RAM tier → engine +6\.00 GB\/s +10\.0 GB\/s {2}memcpy +0\.600 +≥ 0\.7 +MISSED/,
    )
  })

  it('gives programs its ratio by its id', () => {
    const json = figuresJson([pairedFigure(about, [{ value: 8, limit: 10 }])])
    expect(json.ratios).toEqual({ restore_over_memcpy: 0.8 })
    expect(json.figures).toMatchObject([{ kept: true, unit: 'GB/s' }])
  })

  it('is never made of nothing', () => {
    expect(() => pairedFigure(about, [])).toThrow('no values were measured')
  })
})

describe('quantiles', () => {
  it('are those of the sorted values', () => {
    expect(median([5, 1, 3])).toBe(3)
    expect(median([4, 1, 3, 2])).toBe(2.5)
    expect(quantile([1, 2, 3, 4, 5], 1)).toBe(5)
    expect(quantile([0, 10], 0.99)).toBeCloseTo(9.9)
  })
})

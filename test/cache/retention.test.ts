import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Keeper } from '../../cache/keeper.ts'
import { type Links, unlisted } from '../../cache/recency.ts'
import {
  freshKeepClass,
  keepClassCount,
  keepClassOf,
  keepWeight,
  type Worth,
} from '../../cache/retention.ts'
import { RetentionOrder } from '../../cache/retention-order.ts'
import { UseCounts } from '../../cache/use-counts.ts'

const mebibyte = 1024 ** 2
const once: Worth = { uses: 1, recomputeMs: 500, sizeBytes: 6 * mebibyte }
const weightOf = (worth: Partial<Worth>) => keepWeight(keepClassOf({ ...once, ...worth }), 128)

describe('what is worth keeping', () => {
  it('is kept longer the more often it was used', () => {
    expect(weightOf({ uses: 4 })).toBeGreaterThan(2 * weightOf({ uses: 1 }))
    expect(weightOf({ uses: 100 })).toBeGreaterThan(weightOf({ uses: 10 }))
  })

  it('is kept ten times as long where computing it again takes ten times as long', () => {
    const ratio = weightOf({ recomputeMs: 5000 }) / weightOf({ recomputeMs: 500 })
    expect(ratio).toBeGreaterThan(7)
    expect(ratio).toBeLessThan(14)
  })

  it('is kept for less long the more room it takes', () => {
    expect(weightOf({ sizeBytes: 60 * mebibyte })).toBeLessThan(weightOf({}) / 7)
  })

  it('has a class whatever is known of it', () => {
    const worths = fc.record({
      uses: fc.integer({ min: 0, max: 1e9 }),
      recomputeMs: fc.option(fc.double({ min: 0, max: 1e12, noNaN: true })),
      sizeBytes: fc.integer({ min: 0, max: 2 ** 50 }),
    })
    fc.assert(
      fc.property(worths, (worth) => {
        const keepClass = keepClassOf(worth)
        expect(Number.isInteger(keepClass)).toBe(true)
        expect(keepClass).toBeGreaterThanOrEqual(0)
        expect(keepClass).toBeLessThan(keepClassCount)
      }),
    )
  })
})

interface Item {
  readonly name: string
  readonly links: Links<Item>
  keepClass: number
  lastUsedAtMs: number
}

const item = (name: string, keepClass: number, lastUsedAtMs: number): Item => ({
  name,
  links: unlisted(),
  keepClass,
  lastUsedAtMs,
})

function orderOf(items: readonly Item[], nowMs: number): RetentionOrder<Item> {
  const order = new RetentionOrder<Item>({
    linksOf: ({ links }) => links,
    keepClassOf: ({ keepClass }) => keepClass,
    lastUsedAtMsOf: ({ lastUsedAtMs }) => lastUsedAtMs,
    weightOf: (keepClass) => keepWeight(keepClass, 128),
    now: () => nowMs,
  })
  for (const each of items) order.touch(each)
  return order
}

const names = (items: readonly Item[], nowMs: number) =>
  [...orderOf(items, nowMs)].map(({ name }) => name)

describe('the order of going', () => {
  it('is that of use within a class, whatever the clock says', () => {
    expect(names([item('a', 5, 30), item('b', 5, 20), item('c', 5, 10)], 40)).toEqual([
      'a',
      'b',
      'c',
    ])
  })

  it('lets a class that weighs twice as much lie idle for twice as long', () => {
    const both = () => [item('heavy', 7, 0), item('light', 5, 100)]
    expect(names(both(), 190)).toEqual(['heavy', 'light'])
    expect(names(both(), 210)).toEqual(['light', 'heavy'])
  })

  it('lets what is lighter go first when all was used just now', () => {
    expect(names([item('heavy', 7, 50), item('light', 5, 50)], 50)[0]).toBe('light')
    // A clock that went back.
    expect(names([item('heavy', 7, 90), item('light', 5, 90)], 50)[0]).toBe('light')
  })

  it('moves an item that is touched in another class, and counts it once', () => {
    const moved = item('moved', 3, 0)
    const order = orderOf([moved, item('other', 5, 0)], 1000)
    moved.keepClass = 9
    order.touch(moved)
    expect(order.count).toBe(2)
    expect([...order].map(({ name }) => name)).toEqual(['other', 'moved'])
  })

  it('goes on when the item at hand is removed', () => {
    const order = orderOf([item('a', 5, 0), item('b', 6, 0), item('c', 5, 0)], 10)
    const seen: string[] = []
    for (const each of order) {
      each.links.list?.remove(each)
      seen.push(each.name)
    }
    expect(seen).toEqual(['a', 'c', 'b'])
    expect(order.count).toBe(0)
  })
})

describe('the keeper', () => {
  const use = { sizeBytes: mebibyte, recomputeMs: 100 }
  const chainOf = (...keys: number[]) => keys.map((key) => ({ key, keepClass: freshKeepClass }))

  it('never makes a parent worth less than what is behind it', () => {
    const keeper = new Keeper('retention', 1000)
    const costs = fc.record({
      key: fc.integer({ min: 0, max: 30 }),
      sizeBytes: fc.integer({ min: 0, max: 1e8 }),
      recomputeMs: fc.option(fc.double({ min: 0, max: 1e5, noNaN: true })),
    })
    fc.assert(
      fc.property(fc.array(costs, { minLength: 1, maxLength: 12 }), (uses) => {
        const chain = uses.map((each) => ({ ...each, keepClass: freshKeepClass }))
        keeper.used(chain, (block) => block)
        const classes = chain.map(({ keepClass }) => keepClass)
        expect(classes).toEqual([...classes].sort((a, b) => a - b))
      }),
    )
  })

  it('takes blocks whose cost nobody knows for as costly as those that were measured last', () => {
    const keeper = new Keeper('retention', 1000)
    const [known] = chainOf(1)
    keeper.used([known as { key: number; keepClass: number }], ({ key }) => ({ key, ...use }))
    const ratio = keeper.weightOf(known?.keepClass ?? 0) / keeper.weightOf(freshKeepClass)
    expect(ratio).toBeGreaterThan(0.8)
    expect(ratio).toBeLessThan(1.25)
  })

  it('changes nothing where the last use alone decides', () => {
    const chain = chainOf(1, 2)
    new Keeper('lru', 1000).used(chain, ({ key }) => ({ key, ...use }))
    expect(chain.map(({ keepClass }) => keepClass)).toEqual([freshKeepClass, freshKeepClass])
  })
})

describe('counts of uses', () => {
  it('count each block for itself', () => {
    const counts = new UseCounts(1000)
    for (let key = 0; key < 1000; key++) expect(counts.add(key)).toBe(1)
    for (let key = 0; key < 1000; key++) expect(counts.add(key)).toBe(2)
  })

  it('remember a block for a while after others were used, and forget it in the end', () => {
    const counts = new UseCounts(1000)
    counts.add(7)
    for (let key = 1000; key < 2000; key++) counts.add(key)
    expect(counts.add(7)).toBe(2)
    for (let key = 10_000; key < 200_000; key++) counts.add(key)
    expect(counts.add(7)).toBe(1)
  })

  it('stay within a byte', () => {
    const counts = new UseCounts(8)
    let uses = 0
    for (let i = 0; i < 1000; i++) uses = counts.add(1)
    expect(uses).toBe(255)
  })
})

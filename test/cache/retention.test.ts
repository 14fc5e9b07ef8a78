import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Links, unlisted } from '../../cache/recency.ts'
import { keepClassCount, keepClassOf, keepWeight } from '../../cache/retention.ts'
import { RetentionOrder } from '../../cache/retention-order.ts'
import { UseCounts } from '../../cache/use-counts.ts'

const mebibyte = 1024 ** 2
const once = { uses: 1, recomputeMs: 500, sizeBytes: 6 * mebibyte }
const weightOf = (worth: Partial<typeof once>) => keepWeight(keepClassOf({ ...once, ...worth }))

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

function orderOf(items: readonly Item[]): RetentionOrder<Item> {
  const order = new RetentionOrder<Item>({
    linksOf: ({ links }) => links,
    keepClassOf: ({ keepClass }) => keepClass,
    lastUsedAtMsOf: ({ lastUsedAtMs }) => lastUsedAtMs,
  })
  for (const each of items) order.touch(each)
  return order
}

const names = (order: RetentionOrder<Item>, nowMs: number) =>
  [...order.from(nowMs)].map(({ name }) => name)

describe('the order of going', () => {
  it('is that of use within a class, whatever the clock says', () => {
    const order = orderOf([item('a', 5, 30), item('b', 5, 20), item('c', 5, 10)])
    expect(names(order, 40)).toEqual(['a', 'b', 'c'])
  })

  it('lets a class that weighs twice as much lie idle for twice as long', () => {
    const order = orderOf([item('heavy', 7, 0), item('light', 5, 100)])
    expect(names(order, 190)).toEqual(['heavy', 'light'])
    expect(names(order, 210)).toEqual(['light', 'heavy'])
  })

  it('lets what is lighter go first when all was used just now', () => {
    expect(names(orderOf([item('heavy', 7, 50), item('light', 5, 50)]), 50)[0]).toBe('light')
    // A clock that went back.
    expect(names(orderOf([item('heavy', 7, 90), item('light', 5, 90)]), 50)[0]).toBe('light')
  })

  it('moves an item that is touched in another class, and counts it once', () => {
    const moved = item('moved', 3, 0)
    const order = orderOf([moved, item('other', 5, 0)])
    moved.keepClass = 9
    order.touch(moved)
    expect(order.count).toBe(2)
    expect(names(order, 1000)).toEqual(['other', 'moved'])
  })

  it('goes on when the item at hand is removed', () => {
    const order = orderOf([item('a', 5, 0), item('b', 6, 0), item('c', 5, 0)])
    const seen: string[] = []
    for (const each of order.from(10)) {
      each.links.list?.remove(each)
      seen.push(each.name)
    }
    expect(seen).toEqual(['a', 'c', 'b'])
    expect(order.count).toBe(0)
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

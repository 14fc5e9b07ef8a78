import fc from 'fast-check'
import { expect, it } from 'vitest'
import { GroupOrder } from '../../cache/group-order.ts'
import type { CachedRecord } from '../../cache/prefix-index.ts'
import { unlisted } from '../../cache/recency.ts'
import { TierOrder } from '../../cache/record-order.ts'
import { keepClassCount, keepWeight } from '../../cache/retention.ts'
import type { Namespace } from '../../cache/types.ts'

const nowMs = 1_000_000
const own = 'a' as Namespace
const others = 'b' as Namespace
const group = { name: 'tenant:a', has: (namespace: Namespace) => namespace === own }

interface Given {
  readonly namespace: Namespace
  readonly keepClass: number
  readonly lastUsedAtMs: number
}

function recordOf(given: Given): CachedRecord {
  const block = { ...given, leases: 0 }
  return { ...unlisted<CachedRecord>(), kind: 'kv', sizeBytes: 1, block } as CachedRecord
}

/** The tier's order, what is its oldest being given first, and how often it weighed something. */
function open(given: readonly Given[]) {
  let weighed = 0
  const weightOf = (keepClass: number): number => {
    weighed++
    return keepWeight(keepClass, 128)
  }
  const order = new TierOrder({
    linksOf: (record) => record,
    bytesOf: ({ sizeBytes }) => sizeBytes,
    keeper: { weightOf },
    now: () => nowMs,
    onEntered: () => {},
    onLeft: () => {},
  })
  const records = given.map(recordOf)
  for (const record of records) order.touch(record)
  return {
    order,
    records,
    victims: new GroupOrder({ order, now: () => nowMs }),
    weighed: () => weighed,
  }
}

const anything = () => true

it('a group’s victims go in the order in which the tier would let them go', () => {
  const given = fc.record({
    namespace: fc.constantFrom(own, others),
    keepClass: fc.nat(keepClassCount - 1),
    lastUsedAtMs: fc.nat(nowMs),
  })
  fc.assert(
    fc.property(fc.array(given, { maxLength: 60 }), (all) => {
      const { order, victims } = open(all.sort((a, b) => a.lastUsedAtMs - b.lastUsedAtMs))
      const expected = [...order.rows].filter(({ block }) => block.namespace === own)
      for (const record of expected) {
        expect(victims.victim(group, false, anything)).toBe(record)
        order.remove(record)
      }
      expect(victims.victim(group, false, anything)).toBeNull()
    }),
  )
})

it('a block that others stand on is passed over only until these have gone', () => {
  const parent = { namespace: own, keepClass: 20, lastUsedAtMs: 10 }
  const child = { namespace: own, keepClass: 10, lastUsedAtMs: 10 }
  const later = { namespace: own, keepClass: 20, lastUsedAtMs: 20 }
  const { records, order, victims } = open([child, parent, later])
  const [leaf, stem, last] = records
  const isLeaf = (record: CachedRecord) => record !== stem || leaf?.list === null
  for (const expected of [leaf, stem, last]) {
    const next = victims.victim(group, false, isLeaf)
    expect(next).toBe(expected)
    if (next !== null) order.remove(next)
  }
})

it('many victims are one walk past the others, and none of these is weighed', () => {
  const spread = (namespace: Namespace, count: number): Given[] =>
    Array.from({ length: count }, (_, at) => ({ namespace, keepClass: at % 40, lastUsedAtMs: at }))
  const { order, victims, weighed } = open([...spread(others, 2000), ...spread(own, 100)])
  let asked = 0
  const has = (namespace: Namespace) => {
    asked++
    return group.has(namespace)
  }
  for (let at = 0; at < 100; at++) {
    const victim = victims.victim({ ...group, has }, false, anything)
    if (victim !== null) order.remove(victim)
  }
  expect(order.filledCount).toBe(2000)
  expect(asked).toBe(2100)
  // For each victim the first one of each class.
  expect(weighed()).toBeLessThan(100 * 42)
})

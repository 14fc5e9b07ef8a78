import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Siblings, sharedBeginning } from '../../cache/siblings.ts'

interface Item {
  readonly tokens: Uint32Array
}

const tokensArbitrary = fc
  .array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 8 })
  .map((ids) => Uint32Array.from(ids))

function siblingsOf(all: readonly Uint32Array[], order: 'sorted' | 'later'): Siblings<Item> {
  const siblings = new Siblings<Item>((item) => item.tokens)
  for (const tokens of all) {
    if (order === 'sorted') siblings.add({ tokens })
    else siblings.addUnsorted({ tokens })
  }
  return siblings
}

describe('siblings: property', () => {
  it('finds as long a shared beginning as looking at every item does', () => {
    fc.assert(
      fc.property(
        fc.array(tokensArbitrary, { maxLength: 40 }),
        tokensArbitrary,
        fc.constantFrom('sorted' as const, 'later' as const),
        (all, wanted, order) => {
          const found = siblingsOf(all, order).longest(wanted)
          const best = Math.max(0, ...all.map((tokens) => sharedBeginning(tokens, wanted)))
          expect(found?.sharedTokens ?? 0).toBe(best)
        },
      ),
    )
  })

  it('finds a continuation exactly when another item begins with this one', () => {
    fc.assert(
      fc.property(fc.uniqueArray(tokensArbitrary, { maxLength: 20, selector: String }), (all) => {
        const siblings = siblingsOf(all, 'sorted')
        for (const item of siblings) {
          const isBegun = all.some(
            (other) =>
              other.length > item.tokens.length &&
              sharedBeginning(other, item.tokens) === item.tokens.length,
          )
          expect(siblings.continuationOf(item) !== null).toBe(isBegun)
        }
      }),
    )
  })

  it('finds all items that some tokens begin with, and that begin with an item', () => {
    const distinct = fc.uniqueArray(tokensArbitrary, { maxLength: 30, selector: String })
    fc.assert(
      fc.property(distinct, tokensArbitrary, (all, wanted) => {
        const siblings = siblingsOf(all, 'later')
        const begins = (longer: Uint32Array, shorter: Uint32Array) =>
          sharedBeginning(longer, shorter) === shorter.length
        const before = all.filter((tokens) => begins(wanted, tokens))
        const found = [...siblings.beginningsOf(wanted)].map(({ tokens }) => tokens)
        expect(found).toEqual(before.sort((a, b) => b.length - a.length))
        for (const item of siblings) {
          const after = all.filter((it) => it !== item.tokens && begins(it, item.tokens))
          const continued = [...siblings.continuationsOf(item)].map(({ tokens }) => tokens)
          expect(new Set(continued)).toEqual(new Set(after))
        }
      }),
    )
  })

  it('keeps finding the best after items are deleted', () => {
    fc.assert(
      fc.property(
        fc.array(tokensArbitrary, { minLength: 2, maxLength: 20 }),
        tokensArbitrary,
        (all, wanted) => {
          const siblings = siblingsOf(all, 'later')
          siblings.longest(wanted)
          const items = [...siblings]
          const kept = items.filter((_, i) => i % 2 === 0)
          for (const item of items) if (!kept.includes(item)) siblings.delete(item)
          const best = Math.max(0, ...kept.map((item) => sharedBeginning(item.tokens, wanted)))
          expect(siblings.longest(wanted)?.sharedTokens ?? 0).toBe(best)
        },
      ),
    )
  })
})

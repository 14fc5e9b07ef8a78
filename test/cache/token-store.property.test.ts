import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TokenStore } from '../../cache/token-store.ts'

interface Kept {
  readonly place: number
  readonly tokens: Uint32Array
}

const steps = fc.array(
  fc.oneof(
    fc.record({ addTokens: fc.integer({ min: 1, max: 600 }) }),
    fc.record({ removeAt: fc.nat({ max: 30 }) }),
  ),
  { maxLength: 120 },
)

test('whatever comes and goes, every block has its own tokens', () => {
  fc.assert(
    fc.property(steps, (script) => {
      const store = new TokenStore()
      const kept: Kept[] = []
      for (const [number, step] of script.entries()) {
        if ('addTokens' in step) {
          const tokens = Uint32Array.from({ length: step.addTokens }, (_, at) => number * 1000 + at)
          kept.push({ place: store.add(tokens), tokens })
        } else if (kept.length > 0) {
          const [gone] = kept.splice(step.removeAt % kept.length, 1) as [Kept]
          store.remove(gone.place, gone.tokens.length)
        }
      }
      for (const { place, tokens } of kept) {
        expect(store.view(place, tokens.length)).toEqual(tokens)
        expect(store.holds(place, tokens)).toBe(true)
        const last = tokens.length - 1
        expect(store.holds(place, tokens.with(last, (tokens[last] as number) + 1))).toBe(false)
      }
    }),
  )
})

test('the room of a block that went is taken by the next of its size', () => {
  const store = new TokenStore()
  const tokens = new Uint32Array(256)
  const place = store.add(tokens)
  store.add(tokens)
  store.remove(place, 256)
  expect(store.add(new Uint32Array(200))).toBe(place)
})

test('a block of more than a MiB of tokens is refused', () => {
  expect(() => new TokenStore().add(new Uint32Array(2 ** 18 + 1))).toThrow(RangeError)
})

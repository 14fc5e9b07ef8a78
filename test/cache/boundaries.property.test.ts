import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { boundariesToSave, thinned } from '../../cache/boundaries.ts'

const rising = (max: number) =>
  fc
    .uniqueArray(fc.integer({ min: 1, max }), { maxLength: 60 })
    .map((it) => it.sort((a, b) => a - b))

const prompts = fc.record({
  promptTokens: fc.integer({ min: 1, max: 6000 }),
  blockTokens: fc.constantFrom(16, 256),
  boundaryTokens: fc.constantFrom(16, 100, 1024),
  messageEnds: rising(6000),
})

describe('thinned positions: property', () => {
  it('keep the last four, and leave out only what a kept one ahead nearly replaces', () => {
    fc.assert(
      fc.property(rising(5000), fc.integer({ min: 0, max: 200 }), (positions, beyond) => {
        const end = (positions.at(-1) ?? 0) + beyond
        const kept = thinned(positions, end)
        expect(kept.slice(-4)).toEqual(positions.slice(-4))
        for (const position of positions) {
          if (kept.includes(position)) continue
          const ahead = kept.find((it) => it > position) as number
          expect(ahead - position).toBeLessThan((end - position) / 4)
        }
      }),
    )
  })

  it('are few: their number grows as the logarithm of the length', () => {
    const all = Array.from({ length: 100_000 }, (_, at) => at + 1)
    expect(thinned(all, 100_000).length).toBeLessThan(50)
    expect(thinned(thinned(all, 100_000), 100_000)).toEqual(thinned(all, 100_000))
  })
})

describe('boundaries to save: property', () => {
  it('rise, stay before the last token, and have it unless there is nothing before it', () => {
    fc.assert(
      fc.property(prompts, (prompt) => {
        const found = boundariesToSave({ ...prompt, reuse: 'token' })
        expect(found).toEqual([...new Set(found)].sort((a, b) => a - b))
        expect(found.every((position) => position > 0)).toBe(true)
        const last = prompt.promptTokens - 1
        expect(found.at(-1)).toBe(last > 0 ? last : undefined)
      }),
    )
  })

  it('leave no gap larger than the distance that was asked for, in whole blocks', () => {
    fc.assert(
      fc.property(prompts, fc.constantFrom('token' as const, 'block' as const), (prompt, reuse) => {
        const { blockTokens, boundaryTokens, promptTokens } = prompt
        const found = [0, ...boundariesToSave({ ...prompt, reuse })]
        const step = Math.ceil(boundaryTokens / blockTokens) * blockTokens
        const gaps = found.map((position, at) => (found[at + 1] ?? promptTokens) - position)
        expect(Math.max(...gaps)).toBeLessThanOrEqual(step)
      }),
    )
  })

  it('are on the grid with block reuse, the last whole block among them', () => {
    fc.assert(
      fc.property(prompts, (prompt) => {
        const found = boundariesToSave({ ...prompt, reuse: 'block' })
        expect(found.every((position) => position % prompt.blockTokens === 0)).toBe(true)
        const last = prompt.promptTokens - 1
        expect(found.at(-1) ?? 0).toBe(last - (last % prompt.blockTokens))
      }),
    )
  })

  it('have the end of the first message and of the last ones, or are less than 128 before it', () => {
    fc.assert(
      fc.property(prompts, (prompt) => {
        const inside = prompt.messageEnds.filter((position) => position < prompt.promptTokens)
        const found = [0, ...boundariesToSave({ ...prompt, reuse: 'token' })]
        for (const position of [...inside.slice(0, 1), ...inside.slice(-4)]) {
          const before = found.findLast((it) => it <= position) as number
          expect(position - before).toBeLessThan(128)
        }
      }),
    )
  })

  it('have every breakpoint, however many messages stand behind it', () => {
    const asked = fc.array(fc.integer({ min: 1, max: 5999 }), { maxLength: 8 })
    fc.assert(
      fc.property(prompts, asked, (prompt, breakpoints) => {
        const found = [0, ...boundariesToSave({ ...prompt, breakpoints, reuse: 'token' })]
        for (const position of breakpoints) {
          if (position >= prompt.promptTokens) continue
          const before = found.findLast((it) => it <= position) as number
          expect(position - before).toBeLessThan(128)
        }
      }),
    )
  })

  it('make no small calls but the one before the last token, and that one', () => {
    fc.assert(
      fc.property(prompts, (prompt) => {
        const { blockTokens, promptTokens } = prompt
        const grid: number[] = []
        for (let end = 0; end < promptTokens; end += blockTokens) grid.push(end)
        const found = boundariesToSave({ ...prompt, reuse: 'token' })
        const ends = [...new Set([...grid, ...found])].sort((a, b) => a - b)
        for (const [at, end] of ends.entries()) {
          const next = ends[at + 1]
          if (next === undefined || next === promptTokens - 1) continue
          expect(next - end).toBeGreaterThanOrEqual(Math.min(64, blockTokens))
        }
      }),
    )
  })

  it('are behind messages, at the last whole tile of 64 tokens', () => {
    const given = { promptTokens: 3000, blockTokens: 256, boundaryTokens: 1024 } as const
    const messageEnds = [400, 1700, 2400, 2660, 2990]
    const found = boundariesToSave({ ...given, messageEnds, reuse: 'token' })
    expect(found).toEqual([384, 1024, 1664, 2048, 2368, 2624, 2816, 2880, 2999])
    const asked = boundariesToSave({ ...given, messageEnds, breakpoints: [700], reuse: 'token' })
    expect(asked).toEqual([384, 640, ...found.slice(1)])
  })
})

import { describe, expect, it } from 'vitest'
import { createRandom } from '../../bench/random.ts'
import {
  type BoundaryInput,
  boundariesToSave,
  boundaryExpectedAt,
  boundaryWhereLeft,
  isTooShort,
} from '../../cache/boundaries.ts'

const cuts: BoundaryInput = {
  promptTokens: 3000,
  blockTokens: 256,
  boundaryTokens: 1024,
  reuse: 'token',
  messageEnds: [],
}

describe('the boundary that must be there, if none has gone,', () => {
  it('is less than a tile before the end of what a next turn goes on from', () => {
    const stored = { matchedTokens: 1698, goesOn: false }
    expect(boundaryExpectedAt(stored, cuts)).toBe(1698 - 63)
  })

  it('is behind the first message, or at the last step, where prompts leave each other', () => {
    const stored = { matchedTokens: 1000, goesOn: true }
    expect(boundaryExpectedAt(stored, cuts)).toBe(0)
    expect(boundaryExpectedAt(stored, { ...cuts, messageEnds: [500, 900] })).toBe(448)
    expect(boundaryExpectedAt({ ...stored, matchedTokens: 2100 }, cuts)).toBe(2048)
  })

  it('is none where too little is shared, unless that is the whole prompt', () => {
    expect(isTooShort({ matchedTokens: 5, goesOn: true }, cuts)).toBe(true)
    expect(isTooShort({ matchedTokens: 64, goesOn: true }, cuts)).toBe(false)
    expect(isTooShort({ matchedTokens: 9, goesOn: true }, { ...cuts, promptTokens: 10 })).toBe(
      false,
    )
  })

  it.each(['token', 'block'] as const)(
    'is saved by every prompt that is sent once more, with %s reuse',
    (reuse) => {
      const random = createRandom(5)
      for (let run = 0; run < 300; run += 1) {
        const promptTokens = random.integer(1, 6000)
        const input = { ...cuts, reuse, promptTokens }
        const saved = boundariesToSave(input).at(-1) ?? 0
        const stored = { matchedTokens: promptTokens, goesOn: true }
        expect(saved).toBeGreaterThanOrEqual(boundaryExpectedAt(stored, input))
      }
    },
  )

  it('is saved by every prompt that another one leaves inside', () => {
    const random = createRandom(6)
    for (let run = 0; run < 300; run += 1) {
      const promptTokens = random.integer(100, 6000)
      const messageEnds = [random.integer(1, promptTokens)]
      const input = { ...cuts, promptTokens, messageEnds }
      const matchedTokens = random.integer(1, promptTokens)
      const saved = boundariesToSave(input).filter((position) => position <= matchedTokens)
      const other = { ...input, promptTokens: matchedTokens + 500 }
      const expected = boundaryExpectedAt({ matchedTokens, goesOn: true }, other)
      expect(saved.at(-1) ?? 0).toBeGreaterThanOrEqual(expected)
    }
  })
})

describe('the boundary where a prompt leaves a stored one', () => {
  const stored = { matchedTokens: 1698, goesOn: true }

  it('is at the last tile before that, with block reuse at the last block', () => {
    expect(boundaryWhereLeft(stored, cuts)).toBe(1664)
    expect(boundaryWhereLeft(stored, { ...cuts, reuse: 'block' })).toBe(1536)
  })

  it('is none where the prompt is all stored, or goes on where the stored one ends', () => {
    expect(boundaryWhereLeft(stored, { ...cuts, promptTokens: 1698 })).toBe(0)
    expect(boundaryWhereLeft({ ...stored, goesOn: false }, cuts)).toBe(0)
  })

  it('makes no small call before the last token', () => {
    expect(boundaryWhereLeft(stored, { ...cuts, promptTokens: 1700 })).toBe(1600)
  })
})

import { describe, expect, it } from 'vitest'
import { llamaSequences } from '../../src/models/context-bytes.ts'
import { halfPrecision } from '../../src/models/kv-types.ts'
import type { ShareWish } from '../../src/models/memory-share.ts'
import { type ModelNeeds, shareAmong } from '../../src/models/memory-shares.ts'
import { gibibyte, llama8b, unasked } from '../support/llama-memory.ts'

const needs = (name: string, changes: Partial<ModelNeeds> = {}): ModelNeeds => ({
  name,
  weightsBytes: 5 * gibibyte,
  adaptersBytes: 0,
  model: llamaSequences(llama8b, halfPrecision),
  ...changes,
})
const unknown = (name: string, weightsBytes: number): ModelNeeds =>
  needs(name, { weightsBytes, model: null })

const machine = (memoryGiB: number, freeGiB = memoryGiB) => ({
  totalBytes: memoryGiB * gibibyte,
  availableBytes: freeGiB * gibibyte,
})

function chosen(memoryGiB: number, models: readonly ModelNeeds[], wish: Partial<ShareWish> = {}) {
  const { shares } = shareAmong({ ...unasked, ...wish }, machine(memoryGiB), models)
  return shares.map((share) => share && [share.contextTokens, share.sequences])
}

describe('two models', () => {
  const two = [needs('first'), needs('second')]

  it('get what each would get alone, where the memory is large', () => {
    expect(chosen(128, two)).toEqual([
      [8192, 4],
      [8192, 4],
    ])
  })

  it('share the part that sequences take unasked', () => {
    expect(chosen(32, [needs('first')])).toEqual([[8192, 4]])
    expect(chosen(32, two)).toEqual([
      [8192, 3],
      [8192, 3],
    ])
  })

  it('have a whole context each before one has a second sequence', () => {
    expect(chosen(19, two)).toEqual([
      [8192, 1],
      [8192, 1],
    ])
  })

  it('shrink the later context first, down to the least that is of use', () => {
    const [first, second] = chosen(17.25, two)
    expect(first).toEqual([8192, 1])
    expect(second?.[0]).toBeGreaterThanOrEqual(2048)
    expect(second?.[0]).toBeLessThan(8192)
  })

  it('count the RAM tier once', () => {
    const { shares } = shareAmong(unasked, machine(18), two)
    const takenBytes = shares.reduce((sum, share) => sum + (share?.engineBytes ?? 0), 0)
    expect(takenBytes + unasked.ramBytes).toBeLessThanOrEqual((18 * gibibyte * 15) / 16)
    // With the tier once more it would be too much: the case is a narrow one.
    expect(takenBytes + 2 * unasked.ramBytes).toBeGreaterThan((18 * gibibyte * 15) / 16)
  })

  it('that do not fit are refused by the name of the one that is too much', () => {
    expect(() => shareAmong(unasked, machine(12), two)).toThrow(
      expect.objectContaining({
        code: 'PREFIXD_E_MEMORY',
        message: expect.stringMatching(
          /^The memory of 12 GiB is too small for first: the RAM tier takes 4 GiB, second 5\.\d+ /,
        ),
        next: expect.stringMatching(/, or serve fewer models\.$/),
      }),
    )
  })

  it('have a sentence each, but one about the machine', () => {
    const { notices, whys } = shareAmong(unasked, machine(17.25, 2), two)
    expect(notices.map((notice) => notice.split(' ').slice(0, 3).join(' '))).toEqual([
      'second: the context',
      'prefixd takes 16.2',
    ])
    expect(whys.map((why) => why.split(' ')[0])).toEqual(['first:', 'second:'])
  })
})

describe('a model that nobody can tell about', () => {
  it('chooses nothing, but its weights are no longer free for the others', () => {
    expect(chosen(24, [needs('first'), unknown('mlx', 1)])).toEqual([[8192, 2], null])
    const [first] = chosen(24, [needs('first'), unknown('mlx', 10.75 * gibibyte)])
    expect(first).toEqual([8192, 1])
  })

  it('is refused where its weights alone do not fit, and not for what nobody knows', () => {
    const wish = { contextTokens: 1_000_000 }
    expect(chosen(64, [unknown('mlx', 50 * gibibyte)], wish)).toEqual([null])
    expect(() => chosen(32, [unknown('mlx', 50 * gibibyte)])).toThrow(
      expect.objectContaining({
        code: 'PREFIXD_E_MEMORY',
        field: '--ram',
        message: expect.stringMatching(/weights 50 GiB, .* is 54\.3 GiB without any context/),
      }),
    )
    expect(chosen(4, [unknown('device', 0)])).toEqual([null])
  })
})

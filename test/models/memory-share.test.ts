import { describe, expect, it } from 'vitest'
import { contextBytes, llamaSequences } from '../../src/models/context-bytes.ts'
import { halfPrecision, type KvTypes } from '../../src/models/kv-types.ts'
import type { MemoryShare, ShareWish } from '../../src/models/memory-share.ts'
import { shareAmong } from '../../src/models/memory-shares.ts'
import type { ModelMemory } from '../../src/models/model-memory.ts'
import { gibibyte, llama8b, unasked } from '../support/llama-memory.ts'

const weightsBytes = 5 * gibibyte

interface Given {
  readonly memoryGiB: number
  readonly freeGiB?: number | null
  readonly model?: Partial<ModelMemory>
  readonly adaptersBytes?: number
  readonly kvTypes?: KvTypes
}

function share(
  { memoryGiB, freeGiB = memoryGiB, model, adaptersBytes = 0, kvTypes = halfPrecision }: Given,
  wish: Partial<ShareWish> = {},
): MemoryShare {
  const machine = {
    totalBytes: memoryGiB * gibibyte,
    availableBytes: freeGiB === null ? null : freeGiB * gibibyte,
  }
  const sequences = llamaSequences({ ...llama8b, ...model }, kvTypes)
  const needs = { name: 'one', weightsBytes, adaptersBytes, model: sequences }
  const { shares, notices, whys } = shareAmong({ ...unasked, ...wish }, machine, [needs])
  return { ...(shares[0] as MemoryShare), notices, why: whys.join() }
}

const chosen = ({ contextTokens, sequences }: MemoryShare) => [contextTokens, sequences]

describe('without a wish', () => {
  it.each([
    ['64 GiB hold four sequences of the usual context', { memoryGiB: 64 }, [8192, 4]],
    ['no more of them where that is a quarter', { memoryGiB: 16 }, [8192, 3]],
    ['one where others hold the rest', { memoryGiB: 64, freeGiB: 11 }, [8192, 1]],
    ['four where nobody knows what others hold', { memoryGiB: 64, freeGiB: null }, [8192, 4]],
    ['the context is the training where that is less', train(2048, 64), [2048, 4]],
    ['the context shrinks in a small machine', { memoryGiB: 11 }, [6912, 1]],
    [
      'vectors need one sequence',
      { memoryGiB: 64, model: { kinds: [], kv: { keys: 0, values: 0 } } },
      [8192, 1],
    ],
  ] as const)('%s', (_, given, expected) => {
    expect(chosen(share(given))).toEqual(expected)
  })

  function train(trainedContextTokens: number, memoryGiB: number): Given {
    return { memoryGiB, model: { trainedContextTokens } }
  }

  it('a shorter context is said, with what makes it longer', () => {
    expect(share({ memoryGiB: 11 }).notices).toEqual([
      'the context is 6,912 tokens instead of 8,192: the memory holds no more beside the weights ' +
        'and the RAM tier; a smaller --ram leaves more',
    ])
    expect(chosen(share({ memoryGiB: 11 }, { ramBytes: 3.5 * gibibyte }))).toEqual([8192, 1])
  })

  it('the context does not depend on what others hold, but a full machine is said', () => {
    const full = share({ memoryGiB: 64, freeGiB: 2 })
    expect(chosen(full)).toEqual([8192, 1])
    expect(full.notices).toEqual([
      'prefixd takes 10.4 GiB in all, and other programs leave 2 GiB now; ' +
        'the machine may become slow',
    ])
  })

  it('the choice is explained by what takes the memory', () => {
    expect(share({ memoryGiB: 64 }).why).toBe(
      '4 sequences of 8,192 tokens take 4 GiB (each 128 KiB a token) and 800 MiB to compute ' +
        'with, beside 5 GiB of weights and 4 GiB of RAM tier in 64 GiB of memory.',
    )
  })

  it('a window is not counted to every token', () => {
    const window = { keys: 16 * 1024, values: 16 * 1024, tokens: 512 }
    const model = { kinds: ['kv', 'window'] as const, window }
    expect(share({ memoryGiB: 64, model }).why).toContain(
      'take 4.38 GiB (each 128 KiB a token and 96 MiB of windows and states)',
    )
  })

  it('adapters take their files beside the weights', () => {
    const adaptersBytes = gibibyte / 2
    const [without, withThem] = [share({ memoryGiB: 64 }), share({ memoryGiB: 64, adaptersBytes })]
    expect(withThem.engineBytes - without.engineBytes).toBe(adaptersBytes)
    expect(withThem.why).toContain('beside 5 GiB of weights, 512 MiB of adapters and 4 GiB')
  })

  it('types of keys and values are said to change nothing where there are none', () => {
    const kvTypes = { keys: 'q8_0', values: 'q8_0' } as const
    const none = { keys: 0, values: 0 }
    const model = { architecture: 'mamba2', kinds: ['state'], kv: none, stateBytes: 1e6 } as const
    expect(share({ memoryGiB: 64, model, kvTypes }).notices).toEqual([
      '--kv-type changes nothing: mamba2 models keep no keys and no values',
    ])
    expect(share({ memoryGiB: 64, model }).notices).toEqual([])
    expect(share({ memoryGiB: 64, kvTypes }).notices).toEqual([])
  })

  it('what the engine takes is the sum of its parts', () => {
    const { engineBytes } = share({ memoryGiB: 64 })
    const { kept, computing } = contextBytes(llama8b, 8192, halfPrecision)
    expect(engineBytes).toBe(weightsBytes + 0.25 * gibibyte + 4 * (kept + computing))
  })
})

describe('a wish', () => {
  it('is kept to the letter where it fits', () => {
    const wish = { contextTokens: 20_000, sequences: 3 }
    expect(chosen(share({ memoryGiB: 64 }, wish))).toEqual([20_000, 3])
  })

  it('for all that the model was trained for is that much, and no more without scaling', () => {
    const model = { trainedContextTokens: 16_384 }
    const ask = (contextTokens: number, scaled = false) =>
      share({ memoryGiB: 64, model }, { contextTokens, scaled, sequences: 1 }).contextTokens
    expect([ask(0), ask(32_768), ask(32_768, true)]).toEqual([16_384, 16_384, 32_768])
  })

  it('for a context that does not fit is refused with every setting that would help', () => {
    expect(() => share({ memoryGiB: 16 }, { contextTokens: 65_536, sequences: 2 })).toThrow(
      expect.objectContaining({
        code: 'PREFIXD_E_MEMORY',
        field: '--ctx',
        message:
          'The memory of 16 GiB is too small: the RAM tier takes 4 GiB, the weights 5 GiB, ' +
          '2 sequences of 65,536 tokens 16 GiB (each 128 KiB a token), computing 736 MiB, ' +
          'the processes 256 MiB; that is 26 GiB, and 15 GiB may be used.',
        next: 'Use --ctx 21504.',
      }),
    )
  })

  it('for too many sequences is told how many there may be', () => {
    expect(() => share({ memoryGiB: 16 }, { contextTokens: 8192, sequences: 6 })).toThrow(
      expect.objectContaining({
        code: 'PREFIXD_E_MEMORY',
        next: 'Use --ctx 6144, or --sequences 4, or --ram 2640MiB, or --kv-type q8_0.',
      }),
    )
  })

  it('that would help is a wish that fits', () => {
    const given = { memoryGiB: 16 }
    const wish = { contextTokens: 8192, sequences: 6 }
    const q8 = { keys: 'q8_0', values: 'q8_0' } as const
    expect(chosen(share(given, { ...wish, contextTokens: 6144 }))).toEqual([6144, 6])
    expect(() => share(given, { ...wish, contextTokens: 6144 + 256 })).toThrow()
    expect(chosen(share(given, { ...wish, sequences: 4 }))).toEqual([8192, 4])
    expect(chosen(share(given, { ...wish, ramBytes: 2640 * 1024 ** 2 }))).toEqual([8192, 6])
    expect(() => share(given, { ...wish, ramBytes: 2641 * 1024 ** 2 })).toThrow()
    expect(chosen(share({ ...given, kvTypes: q8 }, wish))).toEqual([8192, 6])
  })

  it('cannot help where the weights alone are too large', () => {
    expect(() => share({ memoryGiB: 4 }, { ramBytes: gibibyte })).toThrow(
      expect.objectContaining({
        field: '--ram',
        next: 'Use a smaller model or a smaller quantisation of it.',
      }),
    )
  })

  it('is refused with what was guessed of the model', () => {
    const guess = 'The file does not say which layers see less.'
    expect(() => share({ memoryGiB: 4, model: { guess } })).toThrow(guess)
  })
})

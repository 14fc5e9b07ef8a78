import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type ExactService, openExactService } from '../bench/exact-service.ts'
import { isIdentical } from '../bench/exactness.ts'
import { boundariesToSave, type ReuseMode } from '../cache/index.ts'
import { endToken } from '../engines/fake/vocabulary.ts'
import { messageEndsOf } from '../src/pipeline/message-ends.ts'

const blockTokens = 16
const boundaryTokens = 48
const mebibyte = 1024 ** 2

/** A prompt that begins like something that was computed before, and then goes on by itself. */
interface Ask {
  readonly kind: 'ask'
  /** Which of the earlier sequences, and how much of it, as fractions. */
  readonly earlier: number
  readonly shared: number
  readonly own: readonly number[]
  readonly answerTokens: number
}
type Step = Ask | { readonly kind: 'restart' } | { readonly kind: 'empty RAM' }

const fraction = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })
const ask: fc.Arbitrary<Ask> = fc.record({
  kind: fc.constant('ask' as const),
  earlier: fraction,
  // The ends matter most: nothing shared, and all of it.
  shared: fc.oneof(fraction, fc.constant(0), fc.constant(1)),
  own: fc.array(fc.oneof({ weight: 20, arbitrary: fc.nat({ max: 2 }) }, fc.constant(endToken)), {
    maxLength: 60,
  }),
  answerTokens: fc.integer({ min: 1, max: 4 }),
})
const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: ask },
    { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'empty RAM' as const }) },
  ),
  { minLength: 6, maxLength: 24 },
)

function promptOf(step: Ask, computed: readonly (readonly number[])[]): Uint32Array {
  const earlier = computed[Math.floor(step.earlier * computed.length)] ?? []
  const begun = earlier.slice(0, Math.round(step.shared * earlier.length))
  const prompt = [...begun, ...step.own]
  return Uint32Array.from(prompt.length === 0 ? [1] : prompt)
}

function sharedBeginning(prompt: Uint32Array, sequence: readonly number[]): number {
  const end = prompt.findIndex((token, at) => token !== sequence[at])
  return end < 0 ? prompt.length : end
}

/** What one request left behind, and the positions that a layout with boundaries goes on from. */
interface Stored {
  readonly sequence: readonly number[]
  readonly boundaries: readonly number[]
}

/** What must be restored, said without blocks, trees and tiers. */
function expectedTokens(
  reuse: ReuseMode,
  layout: string,
  prompt: Uint32Array,
  stored: readonly Stored[],
): number {
  const most = prompt.length - 1
  if (layout === 'kv') {
    const shared = stored.map(({ sequence }) => sharedBeginning(prompt, sequence))
    const usable = Math.min(Math.max(0, ...shared), most)
    return reuse === 'token' ? usable : usable - (usable % blockTokens)
  }
  const reachable = stored.flatMap(({ sequence, boundaries }) => {
    const usable = Math.min(sharedBeginning(prompt, sequence), most)
    return boundaries.filter((position) => position <= usable)
  })
  return Math.max(0, ...reachable)
}

/** Where the engine came along: what was restored already has the boundaries that it has. */
function savedBoundaries(
  reuse: ReuseMode,
  prompt: Uint32Array,
  computed: { readonly from: number; readonly to: number },
): number[] {
  const messageEnds = messageEndsOf(prompt, { endTokens: [endToken] })
  const cuts = { promptTokens: prompt.length, blockTokens, boundaryTokens, reuse, messageEnds }
  const passed = boundariesToSave(cuts).filter((position) => position > computed.from)
  return reuse === 'token' ? [...passed, computed.to] : passed
}

async function follow(
  reuse: ReuseMode,
  layout: string,
  given: readonly Step[],
  directory: string,
): Promise<void> {
  const open = (): Promise<ExactService> =>
    openExactService({
      engine: 'fake',
      modelPath: '',
      directory,
      reuse,
      blockTokens,
      boundaryTokens,
      settings: { layout },
      contextTokens: 4096,
      threads: 1,
      ramBytes: 64 * mebibyte,
      ssdBytes: 2048 * mebibyte,
    })
  const computed: number[][] = []
  const stored: Stored[] = []
  let service = await open()
  try {
    for (const step of given) {
      if (step.kind === 'empty RAM') await service.emptyRam()
      else if (step.kind === 'restart') {
        await service.close()
        service = await open()
      } else {
        const prompt = promptOf(step, computed)
        const warm = await service.answer(prompt, step.answerTokens)
        const bypass = { read: false, write: false }
        const cold = await service.answer(prompt, step.answerTokens, bypass)
        expect(isIdentical(warm, cold)).toBe(true)
        expect(warm.receipt.restoredTokens).toBe(expectedTokens(reuse, layout, prompt, stored))
        // The last token of an answer was sampled and not computed.
        const sequence = [...prompt, ...warm.tokens.slice(0, -1)]
        computed.push(sequence)
        stored.push({
          sequence: reuse === 'token' ? sequence : [...prompt],
          boundaries: savedBoundaries(reuse, prompt, {
            from: warm.receipt.restoredTokens,
            to: sequence.length,
          }),
        })
      }
    }
  } finally {
    await service.close()
  }
}

const layouts = ['kv', 'kv+window', 'kv+state', 'kv+window+state', 'state']
const modes = layouts.flatMap((layout) =>
  (['token', 'block'] as const).map((reuse) => ({ reuse, layout })),
)

test.each(modes)(
  'by $reuse with $layout, any prompts are answered as if cold, and restore all that can be',
  async ({ reuse, layout }) => {
    const folder = mkdtempSync(join(tmpdir(), 'prefixd-property-'))
    let run = 0
    const property = fc.asyncProperty(steps, async (given) => {
      run += 1
      await follow(reuse, layout, given, join(folder, String(run)))
    })
    try {
      await fc.assert(property, {
        numRuns: layout === 'kv' ? 5 : 3,
        interruptAfterTimeLimit: 90_000,
      })
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  },
  120_000,
)

/**
 * Restores on every family of memory, against cold runs. Prompts are cut at twelve places drawn
 * at random, by a seed; blocks are short, so that most places are inside of one.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { greedy } from '../../../bench/greedy.ts'
import type { TokenIds } from '../../../cache/types.ts'
import type { EngineModel, EngineSequence } from '../../../engines/types.ts'
import { type FamilyName, familyModelPath, familyNames } from '../../support/family-models.ts'
import {
  type CutRecord,
  exportBoundary,
  exportOne,
  importAll,
  importOne,
  prefillCut,
  recordsUpTo,
} from '../../support/family-runs.ts'
import { decode, openDefaultModel, proseTokens } from '../../support/llamacpp-model.ts'

const blockTokens = 64
const cutCount = 12
const answerTokens = 64

/** Long enough that the window slides. */
const promptTokensOf = (family: FamilyName): number => (family === 'gemma3-512' ? 640 : 400)

const withTypes = familyNames.flatMap((family) =>
  // Nothing of single tokens is kept by the last one, so no type changes anything.
  (family === 'mamba2' ? ['f16'] : ['f16', 'q8_0']).map((kvType) => ({ family, kvType })),
)

describe.each(withTypes)('restores of $family with KV in $kvType', ({ family, kvType }) => {
  const promptTokens = promptTokensOf(family)
  const cuts = drawnCuts(promptTokens, familyNames.indexOf(family))
  let live: EngineModel
  let restarted: EngineModel
  let sequences: readonly EngineSequence[]
  let tokens: TokenIds

  const open = (): Promise<EngineModel> =>
    openDefaultModel({
      modelPath: familyModelPath(family),
      contextTokens: 1024,
      engine: { kvType },
    })
  beforeAll(async () => {
    live = await open()
    restarted = await open()
    sequences = [live.openSequence(), restarted.openSequence()]
    tokens = proseTokens(live, promptTokens, 5)
  })
  afterAll(async () => {
    await live.close()
    await restarted.close()
  })

  /** Every second one of a worker that has not computed what it restores. */
  const sequenceOf = (index: number): EngineSequence => sequences[index % 2] as EngineSequence
  const promptOf = (ids: TokenIds) => ({ tokens: ids, cuts, blockTokens })

  /** Goes on from what stands in the sequence, saves at the cuts, answers, and leaves it empty. */
  const finish = async (sequence: EngineSequence, ids: TokenIds) => {
    const records: CutRecord[] = []
    const logits = await prefillCut(sequence, promptOf(ids), (at) => {
      if (cuts.includes(at)) records.push(...exportBoundary(live, sequence, at, blockTokens))
      else if (at % blockTokens === 0) {
        records.push(exportOne(sequence, 'kv', at - blockTokens, at))
      }
    })
    const answer = await decode(sequence, greedy, ids, answerTokens)
    const last = sequence.logits()
    sequence.clear()
    return { records, answer: { logits, answer, last } }
  }

  it('answer as a cold run does, from every cut, to the last bit', async () => {
    const cold = await finish(sequenceOf(0), tokens)
    for (const [index, cut] of cuts.entries()) {
      const sequence = sequenceOf(index)
      importAll(sequence, recordsUpTo(cold.records, cut, blockTokens))
      expect(sequence.tokenCount).toBe(cut)
      const warm = await finish(sequence, tokens)
      expect(warm.answer).toEqual(cold.answer)
    }
  })

  it('answer prompts that diverge before, on and behind a cut as cold runs do', async () => {
    const { records } = await finish(sequenceOf(0), tokens)
    const others = proseTokens(live, promptTokens, 6)
    for (const [index, cut] of cuts.entries()) {
      const divergence = cut - 1 + (index % 3)
      const ids = tokens.map((id, at) => (at < divergence ? id : (others[at] ?? 0)))
      const boundary = cuts.filter((each) => each <= divergence).at(-1) ?? 0
      const sequence = sequenceOf(index)
      const cold = await finish(sequence, ids)
      importAll(sequence, recordsUpTo(records, boundary, blockTokens))
      expect((await finish(sequence, ids)).answer).toEqual(cold.answer)
    }
  })

  it.runIf(family !== 'llama')('refuse what was saved elsewhere, every time', async () => {
    const { records } = await finish(sequenceOf(0), tokens)
    const isExact = ({ kind }: CutRecord) => kind !== 'kv'
    let refused = 0
    for (const [index, cut] of cuts.entries()) {
      const sequence = sequenceOf(index)
      const other = cuts[(index + 1) % cuts.length] ?? 0
      const rows = recordsUpTo(records, cut, blockTokens).filter((it) => !isExact(it))
      for (const wrong of recordsUpTo(records, other, blockTokens).filter(isExact)) {
        importAll(sequence, rows)
        const { from = 0, to = 0 } = rows.at(-1) ?? {}
        expect(() => importOne(sequence, { ...wrong, from, to })).toThrow(
          expect.objectContaining({ code: 'PREFIXD_E_ENGINE_RESTORE' }),
        )
        expect(sequence.tokenCount).toBe(0)
        refused += 1
      }
    }
    expect(refused).toBe(cutCount * (live.info.layout.kinds.length - 1))
  })
})

/** Distinct places inside of a prompt, sorted; the same for a seed. */
function drawnCuts(promptTokens: number, seed: number): number[] {
  const drawn = new Set<number>()
  for (let state = seed + 1; drawn.size < cutCount; ) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    drawn.add(1 + ((state >> 8) % (promptTokens - 1)))
  }
  return [...drawn].sort((a, b) => a - b)
}

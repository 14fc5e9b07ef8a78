/**
 * Restores on every cache class of mlx-lm, against cold runs, by logits: a wrong state may leave
 * every greedy token as it was. Every second restore is one of a worker that was started later.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { MlxRuntime } from '../../../engines/index.ts'
import type { Engine, WorkerOptions } from '../../../engines/types.ts'
import { type Answer, generate, promptOf } from '../../support/ask-engine.ts'
import {
  type CollectingSink,
  chainTo,
  createCollectingSink,
  createEngineArena,
  type EngineArena,
} from '../../support/engine-arena.ts'
import { mlxIsRefused } from '../../support/mlx-environment.ts'
import type { MlxFamily } from '../../support/mlx-family-models.ts'
import { mlxTestRuntime, startMlx } from '../../support/start-mlx.ts'

const blockTokens = 32
// Windows slide from token 100 on, and chunks end at 90.
const promptTokens = 300
const boundaries = Array.from({ length: 9 }, (_, index) => (index + 1) * blockTokens)
const answerTokens = 16
const never = new AbortController().signal

interface FamilyCase {
  readonly family: MlxFamily
  readonly engine?: WorkerOptions['engine']
}

/** Every class once; pytest has more families, and every class on its own. */
const cases: readonly FamilyCase[] = [
  { family: 'llama' },
  { family: 'llama', engine: { dtype: 'bfloat16' } },
  { family: 'llama', engine: { kvBits: 8 } },
  { family: 'gemma3' },
  { family: 'gemma3', engine: { kvBits: 8 } },
  { family: 'gpt-oss' },
  { family: 'qwen35' },
  { family: 'qwen35', engine: { dtype: 'bfloat16' } },
  { family: 'mamba2' },
  { family: 'llama4' },
  { family: 'deepseek-v32' },
  { family: 'recurrent-gemma' },
  { family: 'falcon-h1' },
]

const named = cases.map((it) => ({ ...it, settings: JSON.stringify(it.engine ?? {}) }))

let runtime: MlxRuntime
beforeAll(async () => {
  if (mlxIsRefused === null) runtime = await mlxTestRuntime()
})

describe.skipIf(mlxIsRefused !== null).each(named)(
  'restores of $family with $settings',
  ({ family, engine = {} }) => {
    let arena: EngineArena
    let live: Engine
    let restarted: Engine
    let tokens: Uint32Array

    beforeAll(async () => {
      arena = createEngineArena(64 * 1024 * 1024, 'shared')
      const worker = { blockTokens, reuse: 'block', sequences: 1, engine } as const
      const start = () => startMlx(runtime, { arena, family, worker })
      live = start()
      restarted = start()
      await Promise.all([live.ready(), restarted.ready()])
      tokens = await promptOf(live, promptTokens, 'every family')
    })
    afterAll(async () => {
      await Promise.all([live.close(0), restarted.close(0)])
      arena.close()
    })

    const sinkOf = (): CollectingSink => createCollectingSink(arena)
    const workerOf = (index: number): Engine => (index % 2 === 0 ? restarted : live)

    /** Restores what stands before `from`, computes the rest, and saves at the boundaries. */
    const ask = async (
      worker: Engine,
      ids: Uint32Array,
      { saved, from }: { readonly saved: CollectingSink; readonly from: number },
      sink: CollectingSink,
    ): Promise<Answer> => {
      const sequence = await worker.openSequence(never)
      try {
        const records = chainTo(saved, from)
        const restored = from === 0 ? 0 : (await sequence.restore(records)).restoredTokens
        expect(restored).toBe(from)
        const request = { tokens: ids, computeFrom: from, restoredOnGrid: true }
        const behind = boundaries.filter((boundary) => boundary > from)
        const more = { boundaries: behind, maxTokens: answerTokens }
        return await generate(sequence, { ...request, ...more }, sink)
      } finally {
        await sequence.close()
      }
    }
    const cold = (worker: Engine, ids: Uint32Array, sink = sinkOf()): Promise<Answer> =>
      ask(worker, ids, { saved: sink, from: 0 }, sink)

    it('answer from every block as a cold run does, and save the same, to the last bit', async () => {
      const saved = sinkOf()
      const first = await cold(live, tokens, saved)
      expect(first.logits).toHaveLength(answerTokens)
      expect(new Set(first.tokens).size).toBeGreaterThan(3)
      for (const [index, from] of boundaries.entries()) {
        const again = sinkOf()
        const warm = await ask(workerOf(index), tokens, { saved, from }, again)
        expect(warm.logits).toEqual(first.logits)
        expect(warm.done).toMatchObject({
          restoredTokens: from,
          computedTokens: promptTokens - from,
        })
        const later = saved.committed.filter(({ to }) => to > from)
        expect(again.committed.map(({ crc32s }) => crc32s)).toEqual(
          later.map(({ crc32s }) => crc32s),
        )
      }
    })

    it('answer prompts that leave the saved one behind a block as cold runs do', async () => {
      const saved = sinkOf()
      await cold(live, tokens, saved)
      const backwards = tokens.slice().reverse()
      for (const [index, from] of boundaries.entries()) {
        if (index % 4 !== 0) continue
        const ids = tokens.map((token, at) => (at < from ? token : (backwards[at] ?? 0)))
        const warm = await ask(workerOf(index / 4), ids, { saved, from }, sinkOf())
        expect(warm.logits).toEqual((await cold(live, ids)).logits)
      }
    })
  },
)

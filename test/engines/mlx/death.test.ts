import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { MlxRuntime } from '../../../engines/index.ts'
import type { Engine } from '../../../engines/types.ts'
import { generate, promptOf, requestOf } from '../../support/ask-engine.ts'
import {
  chainTo,
  createCollectingSink,
  createEngineArena,
  type EngineArena,
} from '../../support/engine-arena.ts'
import { mlxIsRefused } from '../../support/mlx-environment.ts'
import { mlxTestRuntime, startMlx } from '../../support/start-mlx.ts'

const blockTokens = 32
const never = new AbortController().signal
const opened: { engine: Engine; arena: EngineArena }[] = []

describe.skipIf(mlxIsRefused !== null)('the death of a Python worker', () => {
  let runtime: MlxRuntime
  beforeAll(async () => {
    runtime = await mlxTestRuntime()
  })
  afterEach(async () => {
    for (const { engine, arena } of opened.splice(0)) {
      await engine.close(0)
      arena.close()
    }
  })

  function started(mode: 'shared' | 'carried') {
    const arena = createEngineArena(64 * 1024 * 1024, mode)
    const engine = startMlx(runtime, { arena, worker: { blockTokens } })
    opened.push({ engine, arena })
    return { engine, arena }
  }

  it.each(['shared', 'carried'] as const)(
    'kill -9 in the middle of a prefill: a typed error, then the saved part is a hit (%s)',
    async (mode) => {
      const { engine, arena } = started(mode)
      await engine.ready()
      const { pid } = engine.status()
      const tokens = await promptOf(engine, 12 * blockTokens, 'killed')
      const sink = createCollectingSink(arena)
      const sequence = await engine.openSequence(never)
      const reading = (async () => {
        for await (const event of sequence.generate(requestOf(tokens), sink, never)) {
          const isHalf = event.type === 'prefill' && event.processedTokens === 6 * blockTokens
          if (isHalf && pid !== null) process.kill(pid, 'SIGKILL')
        }
      })()
      await expect(reading).rejects.toMatchObject({
        code: 'PREFIXD_E_ENGINE_DIED',
        message: expect.stringContaining('send the request again'),
      })
      await sequence.close()

      const saved = sink.committed.at(-1)?.to ?? 0
      expect(saved).toBeGreaterThanOrEqual(blockTokens)
      const again = await engine.openSequence(never)
      const { restoredTokens: computeFrom } = await again.restore(chainTo(sink, saved))
      const input = { tokens, computeFrom, restoredOnGrid: true }
      const warm = await generate(again, input, createCollectingSink(arena))
      await again.close()
      expect(warm.done).toMatchObject({
        restoredTokens: saved,
        computedTokens: tokens.length - saved,
      })
      const other = await engine.openSequence(never)
      const cold = await generate(other, { tokens }, createCollectingSink(arena))
      await other.close()
      expect(warm.logits).toEqual(cold.logits)
      expect(engine.status().restarts).toBe(1)
    },
  )
})

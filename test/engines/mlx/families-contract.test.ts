import { beforeAll, describe } from 'vitest'
import type { RecordKind } from '../../../cache/types.ts'
import type { MlxRuntime } from '../../../engines/index.ts'
import { createEngineArena } from '../../support/engine-arena.ts'
import { mlxIsRefused } from '../../support/mlx-environment.ts'
import type { MlxFamily } from '../../support/mlx-family-models.ts'
import { mlxTestRuntime, startMlx } from '../../support/start-mlx.ts'
import { engineContract } from '../engine-contract.ts'

// Two of these are longer than the short windows, so that they slide.
const blockTokens = 64

/** Every cache class of mlx-lm that prefixd stores; pytest has more mixtures of them. */
const families: Readonly<Partial<Record<MlxFamily, readonly RecordKind[]>>> = {
  'deepseek-v32': ['kv'],
  gemma3: ['kv', 'window'],
  'gpt-oss': ['kv', 'window'],
  llama4: ['kv', 'window'],
  mamba2: ['kv', 'state'],
  qwen35: ['kv', 'state'],
}

describe.skipIf(mlxIsRefused !== null)('a Python worker', () => {
  let runtime: MlxRuntime
  beforeAll(async () => {
    runtime = await mlxTestRuntime()
  })

  function familyContract(
    words: string,
    family: MlxFamily,
    kinds: readonly RecordKind[],
    engine: Readonly<Record<string, number>> = {},
  ): void {
    engineContract(`mlx with ${words}`, {
      blockTokens,
      kinds,
      // What is in the bytes is nothing to those who carry them.
      modes: ['shared'],
      exactForAnyCallSize: false,
      make(reuse, mode) {
        const arena = createEngineArena(64 * 1024 * 1024, mode)
        return {
          arena,
          engine: startMlx(runtime, { arena, family, worker: { blockTokens, reuse, engine } }),
        }
      },
    })
  }

  for (const [family, kinds] of Object.entries(families)) {
    familyContract(family, family as MlxFamily, kinds)
  }
  familyContract('llama and rows of 8 bits', 'llama', ['kv'], { kvBits: 8 })
})

import { beforeAll, describe } from 'vitest'
import type { MlxRuntime } from '../../../engines/index.ts'
import { createEngineArena } from '../../support/engine-arena.ts'
import { mlxIsRefused } from '../../support/mlx-environment.ts'
import { mlxTestRuntime, startMlx } from '../../support/start-mlx.ts'
import { engineContract } from '../engine-contract.ts'

const blockTokens = 32

describe.skipIf(mlxIsRefused !== null)('a Python worker', () => {
  let runtime: MlxRuntime
  beforeAll(async () => {
    runtime = await mlxTestRuntime()
  })

  engineContract('mlx with llama', {
    blockTokens,
    exactForAnyCallSize: false,
    make(reuse, mode) {
      const arena = createEngineArena(64 * 1024 * 1024, mode)
      const worker = { blockTokens, reuse, sequences: 3 }
      return { arena, engine: startMlx(runtime, { arena, worker }) }
    },
  })
})

import { startEngine } from '../../../engines/index.ts'
import { defaultModelPath } from '../../support/default-model.ts'
import { createEngineArena } from '../../support/engine-arena.ts'
import { testLimits } from '../../support/start-fake.ts'
import { engineContract } from '../engine-contract.ts'

// Short blocks keep the prompts short; the figures of real blocks are in exactness.test.ts.
const blockTokens = 32

engineContract('llama.cpp', {
  blockTokens,
  exactForAnyCallSize: false,
  make(reuse, mode) {
    const arena = createEngineArena(64 * 1024 * 1024, mode)
    const engine = startEngine('llamacpp', {
      worker: {
        modelPath: defaultModelPath(),
        contextTokens: 512,
        sequences: 3,
        threads: 1,
        blockTokens,
        reuse,
        engine: {},
      },
      arena: arena.shared,
      view: arena.view,
      limits: testLimits,
      log: () => {},
    })
    return { arena, engine }
  },
})

import { createEngineArena } from '../support/engine-arena.ts'
import { startFake } from '../support/start-fake.ts'
import { engineContract } from './engine-contract.ts'

const blockTokens = 32

engineContract('fake engine', {
  blockTokens,
  exactForAnyCallSize: true,
  make(reuse, mode) {
    const arena = createEngineArena(8 * 1024 * 1024, mode)
    return { arena, engine: startFake({ arena, worker: { blockTokens, reuse } }) }
  },
})

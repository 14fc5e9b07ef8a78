import type { RecordKind } from '../../cache/types.ts'
import { createEngineArena } from '../support/engine-arena.ts'
import { startFake } from '../support/start-fake.ts'
import { engineContract } from './engine-contract.ts'

const blockTokens = 32

const layouts: Readonly<Record<string, readonly RecordKind[]>> = {
  kv: ['kv'],
  'kv+window': ['kv', 'window'],
  'kv+state': ['kv', 'state'],
  'kv+window+state': ['kv', 'window', 'state'],
  state: ['kv', 'state'],
}

for (const [layout, kinds] of Object.entries(layouts)) {
  engineContract(`fake engine of ${layout}`, {
    blockTokens,
    kinds,
    exactForAnyCallSize: true,
    make(reuse, mode) {
      const arena = createEngineArena(8 * 1024 * 1024, mode)
      const worker = { blockTokens, reuse, engine: { layout } }
      return { arena, engine: startFake({ arena, worker }) }
    },
  })
}

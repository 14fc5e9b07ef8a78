import type { RecordKind } from '../../../cache/types.ts'
import { startEngine } from '../../../engines/index.ts'
import { createEngineArena } from '../../support/engine-arena.ts'
import { type FamilyName, familyModelPath } from '../../support/family-models.ts'
import { testLimits } from '../../support/start-fake.ts'
import { engineContract } from '../engine-contract.ts'

// Three of these are longer than the short windows, so that they slide.
const blockTokens = 64

const families: Readonly<Record<FamilyName, readonly RecordKind[]>> = {
  llama: ['kv'],
  'gemma3-128': ['kv', 'window'],
  'gemma3-512': ['kv', 'window'],
  'gpt-oss': ['kv', 'window'],
  lfm2: ['kv', 'state'],
  'lfm2-window': ['kv', 'window', 'state'],
  qwen35: ['kv', 'state'],
  mamba2: ['kv', 'state'],
}

/** Has every kind of record: other types, and other ways for bytes to travel, are tried on it. */
const fullest: FamilyName = 'lfm2-window'

for (const [name, kinds] of Object.entries(families)) {
  for (const kvType of ['f16', 'q8_0']) {
    // Their exactness in this type is in families.test.ts.
    if (name !== fullest && kvType !== 'f16') continue
    engineContract(`llama.cpp with ${name} in ${kvType}`, {
      blockTokens,
      kinds,
      // What is in the bytes is nothing to those who carry them.
      modes: name === fullest && kvType === 'f16' ? ['shared', 'carried'] : ['shared'],
      exactForAnyCallSize: false,
      make(reuse, mode) {
        const arena = createEngineArena(32 * 1024 * 1024, mode)
        const engine = startEngine('llamacpp', {
          worker: {
            modelPath: familyModelPath(name as FamilyName),
            contextTokens: 512,
            sequences: 2,
            threads: 1,
            blockTokens,
            reuse,
            engine: { kvType },
          },
          arena: arena.shared,
          view: arena.view,
          limits: testLimits,
          log: () => {},
        })
        return { arena, engine }
      },
    })
  }
}

import { expect, it } from 'vitest'
import { makeReceipt } from '../../src/pipeline/receipt.ts'
import { planOf } from '../support/scripted-service.ts'

const parts = {
  plan: planOf({ outcome: 'bypass', reasons: ['the request asked not to read the cache'] }),
  restored: { tokenCount: 0, restoreMs: 0, sizeBytes: 0, workMs: 0, failure: null },
  done: {
    type: 'done' as const,
    restoredTokens: 0,
    computedTokens: 1024,
    decodedTokens: 0,
    prefillMs: 1,
    decodeMs: 0,
    exportMs: 0,
    finishReason: 'length' as const,
  },
  savedTokens: 0,
  settleMs: 0,
  prefix: null,
  blockTokens: 256,
}

it('says of a request that was not to be stored why nothing was', () => {
  expect(makeReceipt({ ...parts, mayStore: true }).reasons).toEqual(parts.plan.reasons)
  expect(makeReceipt({ ...parts, mayStore: false }).reasons).toEqual([
    'the request asked not to read the cache',
    'the request asked not to be stored',
  ])
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { toDeltaUsage, toUsage } from '../../src/api/anthropic/usage.ts'
import { receiptOf } from '../support/scripted-service.ts'

const tokens = fc.nat({ max: 1_000_000 })
/** The last token is always computed; the answer is saved too, so that may be more. */
const receipts = fc
  .record({ restored: tokens, computed: fc.integer({ min: 1, max: 1_000_000 }), saved: tokens })
  .map(({ restored, computed, saved }) =>
    receiptOf({
      promptTokens: restored + computed,
      restoredTokens: restored,
      computedTokens: computed,
      savedTokens: saved,
    }),
  )

test('property: what was read, what was written and the rest sum to the prompt', () => {
  fc.assert(
    fc.property(receipts, fc.constantFrom('5m' as const, '1h' as const), (receipt, ttl) => {
      const usage = toUsage(receipt, ttl)
      const { input_tokens, cache_read_input_tokens, cache_creation_input_tokens } = usage
      expect(input_tokens + cache_read_input_tokens + cache_creation_input_tokens).toBe(
        receipt.promptTokens,
      )
      expect(cache_read_input_tokens).toBe(receipt.restoredTokens)
      expect(cache_creation_input_tokens).toBeLessThanOrEqual(receipt.savedTokens)
      const { ephemeral_5m_input_tokens, ephemeral_1h_input_tokens } = usage.cache_creation
      expect(ephemeral_5m_input_tokens + ephemeral_1h_input_tokens).toBe(
        cache_creation_input_tokens,
      )
      expect(toUsage(receipt, ttl)).toMatchObject(toDeltaUsage(receipt))
    }),
  )
})

test('property: input_tokens is never 0, which clients take for "not said"', () => {
  fc.assert(
    fc.property(receipts, (receipt) => {
      expect(toDeltaUsage(receipt).input_tokens).toBeGreaterThan(0)
    }),
  )
})

import fc from 'fast-check'
import { expect, test } from 'vitest'
import { toUsage as toAnthropicUsage } from '../../src/api/anthropic/usage.ts'
import { sumReceipts, toTimings, toUsage } from '../../src/api/openai/usage.ts'
import { toResponseUsage } from '../../src/api/responses/response.ts'
import { receiptOf } from '../support/scripted-service.ts'

const tokens = fc.nat({ max: 1_000_000 })
const receipts = fc
  .record({ restored: tokens, computed: tokens, saved: tokens, generated: tokens })
  .map(({ restored, computed, saved, generated }) =>
    receiptOf({
      promptTokens: restored + computed,
      restoredTokens: restored,
      computedTokens: computed,
      // The answer is saved too, so this may be more than was computed of the prompt.
      savedTokens: saved,
      generatedTokens: generated,
    }),
  )

test('property: the details of usage are parts of the prompt', () => {
  fc.assert(
    fc.property(receipts, (receipt) => {
      const usage = toUsage(receipt)
      const { cached_tokens, cache_write_tokens } = usage.prompt_tokens_details
      expect(cached_tokens + cache_write_tokens).toBeLessThanOrEqual(usage.prompt_tokens)
      expect(usage.total_tokens).toBe(usage.prompt_tokens + usage.completion_tokens)
    }),
  )
})

test('property: usage of a sum is the sum of usages', () => {
  fc.assert(
    fc.property(fc.array(receipts, { minLength: 1, maxLength: 5 }), (parts) => {
      const whole = toUsage(sumReceipts(parts))
      const sum = (read: (usage: typeof whole) => number) =>
        parts.map(toUsage).reduce((total, usage) => total + read(usage), 0)
      expect(whole.prompt_tokens).toBe(sum((usage) => usage.prompt_tokens))
      expect(whole.completion_tokens).toBe(sum((usage) => usage.completion_tokens))
      for (const key of ['cached_tokens', 'cache_write_tokens'] as const) {
        expect(whole.prompt_tokens_details[key]).toBe(
          sum((usage) => usage.prompt_tokens_details[key]),
        )
      }
    }),
  )
})

test('property: every dialect says the same of one receipt', () => {
  fc.assert(
    fc.property(receipts, (receipt) => {
      const chat = toUsage(receipt)
      const { cached_tokens: cached, cache_write_tokens: written } = chat.prompt_tokens_details
      const responses = toResponseUsage(receipt)
      expect(responses.input_tokens).toBe(chat.prompt_tokens)
      expect(responses.input_tokens_details).toEqual(chat.prompt_tokens_details)
      expect(responses.input_tokens + responses.output_tokens).toBe(responses.total_tokens)
      expect(cached + written).toBeLessThanOrEqual(responses.input_tokens)

      const anthropic = toAnthropicUsage(receipt, '5m')
      const { input_tokens, cache_read_input_tokens, cache_creation_input_tokens } = anthropic
      expect(cache_read_input_tokens).toBe(cached)
      // The last token, which is never restored, always counts as not written there.
      expect(written - cache_creation_input_tokens).toBeOneOf([0, 1])
      expect(input_tokens + cache_read_input_tokens + cache_creation_input_tokens).toBe(
        chat.prompt_tokens,
      )
      expect(toTimings(receipt)).toMatchObject({
        cache_n: cached,
        prompt_n: receipt.computedTokens,
      })
    }),
  )
})

test('rates of nothing are null, never NaN or infinite', () => {
  const receipt = receiptOf({
    computedTokens: 0,
    generatedTokens: 0,
    ms: { ...receiptOf().ms, prefill: 0, decode: 0 },
  })
  expect(toTimings(receipt)).toMatchObject({
    prompt_per_token_ms: null,
    prompt_per_second: null,
    predicted_per_token_ms: null,
    predicted_per_second: null,
  })
})

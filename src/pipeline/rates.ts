/**
 * Speeds of this machine, measured from receipts: how fast the engine prefills, and how fast each
 * tier restores. Exponentially smoothed; a sample counts in proportion to its size.
 */
import type { Rates, TierName } from '../../cache/types.ts'

/** Fewer tokens than this say more about the call's fixed cost than about the rate. */
const leastTokens = 64
const leastBytes = 1024 * 1024
const smoothing = 0.3

export interface RateMeter {
  rates(): Rates
  prefilled(tokenCount: number, ms: number): void
  restored(tier: TierName, sizeBytes: number, ms: number): void
}

const blend = (old: number | null, fresh: number): number =>
  old === null ? fresh : old + smoothing * (fresh - old)

export function createRateMeter(): RateMeter {
  let prefillTokensPerMs: number | null = null
  const restoreBytesPerMs: Record<TierName, number | null> = { ram: null, ssd: null }
  return {
    rates: () => ({ prefillTokensPerMs, restoreBytesPerMs: { ...restoreBytesPerMs } }),
    prefilled(tokenCount, ms) {
      if (tokenCount < leastTokens || ms <= 0) return
      prefillTokensPerMs = blend(prefillTokensPerMs, tokenCount / ms)
    },
    restored(tier, sizeBytes, ms) {
      if (sizeBytes < leastBytes || ms <= 0) return
      restoreBytesPerMs[tier] = blend(restoreBytesPerMs[tier], sizeBytes / ms)
    },
  }
}

/**
 * Speeds of this machine, measured from receipts: how fast the engine prefills, and how fast each
 * tier restores.
 *
 * A restore that is declined by mistake costs a whole prefill, one that is tried in vain costs
 * little. So a tier is as fast as the fastest of its last few restores, nothing is said of it
 * before there are some, and each plan that declines makes the oldest one forgotten, so that the
 * tier is tried again.
 */
import type { Rates, TierName } from '../../cache/types.ts'

/** Fewer tokens than this say more about the call's fixed cost than about the rate. */
const leastTokens = 64
const leastBytes = 1024 * 1024
const smoothing = 0.3
const keptRestores = 5
const leastRestores = 3

export interface RateMeter {
  /** What plans go by; null where too little was measured. */
  rates(): Rates
  prefilled(tokenCount: number, ms: number): void
  /** `ms` without the time that other requests took. */
  restored(tier: TierName, sizeBytes: number, ms: number): void
  /** A plan has found prefilling faster. */
  declined(): void
}

const blend = (old: number | null, fresh: number): number =>
  old === null ? fresh : old + smoothing * (fresh - old)

const fastest = (samples: readonly number[]): number | null =>
  samples.length < leastRestores ? null : Math.max(...samples)

export function createRateMeter(): RateMeter {
  let prefillTokensPerMs: number | null = null
  /** Bytes per millisecond of the last restores, oldest first. */
  const restores: Readonly<Record<TierName, number[]>> = { ram: [], ssd: [] }
  return {
    rates: () => ({
      prefillTokensPerMs,
      restoreBytesPerMs: { ram: fastest(restores.ram), ssd: fastest(restores.ssd) },
    }),
    prefilled(tokenCount, ms) {
      if (tokenCount < leastTokens || ms <= 0) return
      prefillTokensPerMs = blend(prefillTokensPerMs, tokenCount / ms)
    },
    restored(tier, sizeBytes, ms) {
      if (sizeBytes < leastBytes || ms <= 0) return
      restores[tier].push(sizeBytes / ms)
      if (restores[tier].length > keptRestores) restores[tier].shift()
    },
    declined() {
      for (const samples of Object.values(restores)) samples.shift()
    },
  }
}

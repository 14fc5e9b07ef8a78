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
import type { MeasuredRates } from '../catalog/types.ts'

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

export interface LastingMeter extends RateMeter {
  /** Goes on from what an earlier run has measured, as if it had been this one. */
  goOnFrom(earlier: MeasuredRates): void
}

const blend = (old: number | null, fresh: number): number =>
  old === null ? fresh : old + smoothing * (fresh - old)

const fastest = (samples: readonly number[]): number | null =>
  samples.length < leastRestores ? null : Math.max(...samples)

/** `onMeasured` hears what to go on from after a restart, each time that this has changed. */
export function createRateMeter(
  onMeasured: (measured: MeasuredRates) => void = () => {},
): LastingMeter {
  let prefillTokensPerMs: number | null = null
  /** Bytes per millisecond of the last restores, oldest first. */
  const restores: Readonly<Record<TierName, number[]>> = { ram: [], ssd: [] }
  const changed = (): void =>
    onMeasured({
      prefillTokensPerMs,
      restoresBytesPerMs: { ram: [...restores.ram], ssd: [...restores.ssd] },
    })
  return {
    rates: () => ({
      prefillTokensPerMs,
      restoreBytesPerMs: { ram: fastest(restores.ram), ssd: fastest(restores.ssd) },
    }),
    prefilled(tokenCount, ms) {
      if (tokenCount < leastTokens || ms <= 0) return
      prefillTokensPerMs = blend(prefillTokensPerMs, tokenCount / ms)
      changed()
    },
    restored(tier, sizeBytes, ms) {
      if (sizeBytes < leastBytes || ms <= 0) return
      restores[tier].push(sizeBytes / ms)
      if (restores[tier].length > keptRestores) restores[tier].shift()
      changed()
    },
    declined() {
      for (const samples of Object.values(restores)) samples.shift()
      changed()
    },
    goOnFrom(earlier) {
      prefillTokensPerMs ??= earlier.prefillTokensPerMs
      for (const tier of ['ram', 'ssd'] as const) {
        const before = earlier.restoresBytesPerMs[tier]
        restores[tier].unshift(...before)
        restores[tier].splice(0, restores[tier].length - keptRestores)
      }
    },
  }
}

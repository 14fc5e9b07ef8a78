/** Counts what receipts say, for `stats`. Figures of the engine only. */
import type { TierName } from '../../cache/index.ts'
import type { CacheStats, Receipt } from './types.ts'

type Counted = Pick<
  CacheStats,
  'requests' | 'tokens' | 'savedPrefillMs' | 'restores' | 'ttftMs' | 'hygiene'
>

/** Times of the latest requests; medians of more would not say more. */
const keptTimes = 256

export interface Tally {
  finished(receipt: Receipt, prefillTokensPerMs: number | null): void
  failed(): void
  restored(isOk: boolean): void
  counted(): Counted
}

function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? null
}

function keep(times: number[], ms: number | null): void {
  if (ms === null) return
  times.push(ms)
  if (times.length > keptTimes) times.shift()
}

/** What computing the restored tokens would have taken, less what restoring them took. */
export function savedPrefill(receipt: Receipt, prefillTokensPerMs: number | null): number {
  if (prefillTokensPerMs === null) return 0
  return Math.max(0, receipt.restoredTokens / prefillTokensPerMs - receipt.ms.restore)
}

export function createTally(): Tally {
  const requests = { total: 0, hit: 0, partial: 0, miss: 0, bypass: 0, failed: 0 }
  const tokens = { prompt: 0, restoredRam: 0, restoredSsd: 0, computed: 0, saved: 0, generated: 0 }
  const restores = { ok: 0, failed: 0 }
  const hitTimes: number[] = []
  const missTimes: number[] = []
  /** By the normaliser's name; there are as many as src/chat/hygiene/ has. */
  const hygiene = new Map<string, { requests: number; chars: number }>()
  let savedPrefillMs = 0

  const restoredFrom = (tier: TierName | null, count: number): void => {
    if (tier === 'ram') tokens.restoredRam += count
    if (tier === 'ssd') tokens.restoredSsd += count
  }

  return {
    finished(receipt, prefillTokensPerMs) {
      requests.total++
      requests[receipt.status]++
      tokens.prompt += receipt.promptTokens
      tokens.computed += receipt.computedTokens
      tokens.saved += receipt.savedTokens
      tokens.generated += receipt.generatedTokens
      restoredFrom(receipt.tier, receipt.restoredTokens)
      const { ttft, load } = receipt.ms
      // What loading a model takes says nothing of the cache.
      const times = receipt.restoredTokens > 0 ? hitTimes : missTimes
      keep(times, ttft === null ? null : ttft - load)
      for (const { name, chars } of receipt.hygiene?.removed ?? []) {
        const total = hygiene.get(name) ?? { requests: 0, chars: 0 }
        hygiene.set(name, { requests: total.requests + 1, chars: total.chars + chars })
      }
      savedPrefillMs += savedPrefill(receipt, prefillTokensPerMs)
    },
    failed() {
      requests.total++
      requests.failed++
    },
    restored(isOk) {
      if (isOk) restores.ok++
      else restores.failed++
    },
    counted: () => ({
      requests: { ...requests },
      tokens: { ...tokens },
      restores: { ...restores },
      savedPrefillMs,
      hygiene: [...hygiene].map(([name, total]) => ({ name, ...total })),
      ttftMs: { hit: median(hitTimes), miss: median(missTimes) },
    }),
  }
}

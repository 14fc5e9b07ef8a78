/**
 * What more room would have served, for each day, tier and amount of room: powers of two, from a
 * mebibyte on. So there are few sums, and all of them are in memory as well.
 */
import { limits } from '../config/limits.ts'
import type { Advice, AdviceStep } from '../pipeline/types.ts'
import type { CatalogFile } from './catalog-file.ts'
import type { WriteQueue } from './write-queue.ts'

type Tier = AdviceStep['tier']
type Sums = Pick<AdviceStep, 'requests' | 'tokens' | 'prefillMs'>

interface Want extends Sums {
  readonly dayMs: number
  readonly tier: Tier
  readonly moreBytes: number
}

export interface WantLog {
  add(tier: Tier, moreBytes: number, sums: Sums): void
  advice(): Advice
}

export interface WantOptions {
  readonly file: CatalogFile
  readonly queue: WriteQueue
  readonly now: () => number
}

const dayMs = 24 * 3_600_000

const upsert = 'REPLACE INTO wants VALUES (?, ?, ?, ?, ?, ?)'
const select = `
SELECT day_ms AS dayMs, tier, more_bytes AS moreBytes, requests, tokens, prefill_ms AS prefillMs
FROM wants WHERE day_ms > ?`

export function wantLog({ file, queue, now }: WantOptions): WantLog {
  const wants = new Map<string, Want>()
  const unwritten = new Set<string>()
  const firstDayMs = (): number => now() - limits.adviceMs - dayMs
  for (const want of file.attempt(() => file.statement(select).all(firstDayMs()) as Want[], [])) {
    wants.set(keyOf(want), want)
  }

  function write(): void {
    for (const key of unwritten) {
      const want = wants.get(key)
      if (want === undefined) continue
      const { requests, tokens, prefillMs } = want
      file.statement(upsert).run(want.dayMs, want.tier, want.moreBytes, requests, tokens, prefillMs)
    }
    unwritten.clear()
  }

  function forgetOld(): void {
    for (const [key, want] of wants) if (want.dayMs <= firstDayMs()) wants.delete(key)
  }

  return {
    add(tier, moreBytes, sums) {
      forgetOld()
      const day = Math.floor(now() / dayMs) * dayMs
      const want = { dayMs: day, tier, moreBytes: 2 ** Math.ceil(Math.log2(moreBytes)), ...sums }
      const key = keyOf(want)
      wants.set(key, plus(want, wants.get(key)))
      if (unwritten.size === 0) queue.push(write)
      unwritten.add(key)
    },
    advice() {
      forgetOld()
      const steps = stepsOf([...wants.values()])
      return { sinceMs: now() - limits.adviceMs, steps, best: bestOf(steps) }
    },
  }
}

const keyOf = ({ dayMs: day, tier, moreBytes }: Want): string => `${day} ${tier} ${moreBytes}`

const plus = <T extends Sums>(one: T, other: Sums | undefined): T => ({
  ...one,
  requests: one.requests + (other?.requests ?? 0),
  tokens: one.tokens + (other?.tokens ?? 0),
  prefillMs: one.prefillMs + (other?.prefillMs ?? 0),
})

/** Twice the room for the last fifth of the tokens is not worth naming. */
const mostShare = 0.8

function bestOf(steps: readonly AdviceStep[]): AdviceStep | null {
  const mostTokens = Math.max(0, ...steps.map(({ tokens }) => tokens))
  const enough = steps.filter(({ tokens }) => tokens > 0 && tokens >= mostTokens * mostShare)
  const [best = null] = enough.sort((a, b) => a.moreBytes - b.moreBytes)
  return best
}

/** Whoever has more room serves what less would have served, too. */
function stepsOf(wants: readonly Want[]): AdviceStep[] {
  const steps: AdviceStep[] = []
  for (const { tier, moreBytes, ...sums } of [...wants].sort((a, b) => a.moreBytes - b.moreBytes)) {
    const before = steps.findLast((step) => step.tier === tier)
    const { requests, tokens, prefillMs } = sums
    const step = plus({ tier, moreBytes, requests, tokens, prefillMs }, before)
    if (before?.moreBytes === moreBytes) steps[steps.indexOf(before)] = step
    else steps.push(step)
  }
  return steps.sort((a, b) =>
    a.tier === b.tier ? a.moreBytes - b.moreBytes : a.tier < b.tier ? -1 : 1,
  )
}

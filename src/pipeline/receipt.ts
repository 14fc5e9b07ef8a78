/** What is reported of one request: the engine's own figures beside the plan's reasons. Pure. */
import type { Plan } from '../../cache/index.ts'
import type { GenerateDone } from '../../engines/index.ts'
import type { Restored } from './restore.ts'
import type { Receipt } from './types.ts'

export interface ReceiptParts {
  readonly plan: Plan
  readonly restored: Restored
  readonly done: GenerateDone
  readonly mayStore: boolean
  readonly savedTokens: number
  /** How long the confirmation of what was saved was waited for. */
  readonly settleMs: number
  readonly prefix: string | null
  readonly blockTokens: number
}

/** Without what only the whole request knows. */
export type UntimedReceipt = Omit<Receipt, 'ms' | 'hygiene'> & {
  readonly ms: Pick<Receipt['ms'], 'restore' | 'prefill' | 'decode' | 'save'>
}

function statusOf({ plan, done }: ReceiptParts): Receipt['status'] {
  if (plan.outcome === 'bypass') return 'bypass'
  if (done.restoredTokens === 0) return 'miss'
  return done.restoredTokens < plan.computeFrom ? 'partial' : plan.outcome
}

function missOf({ plan, restored, done }: ReceiptParts): Receipt['miss'] {
  const isShort = restored.failure !== null || done.restoredTokens < plan.computeFrom
  return isShort ? { reason: 'corrupt', atToken: done.restoredTokens } : plan.miss
}

export function makeReceipt(parts: ReceiptParts): UntimedReceipt {
  const { plan, restored, done, blockTokens } = parts
  const failure = restored.failure === null ? [] : [restored.failure.message]
  const unsaved = parts.mayStore ? [] : ['the request asked not to be stored']
  return {
    promptTokens: plan.promptTokens,
    restoredTokens: done.restoredTokens,
    computedTokens: done.computedTokens,
    savedTokens: parts.savedTokens,
    generatedTokens: done.decodedTokens,
    status: statusOf(parts),
    tier: done.restoredTokens === 0 ? null : plan.tier,
    prefix: parts.prefix,
    blocks: {
      hit: Math.floor(done.restoredTokens / blockTokens),
      total: Math.ceil(plan.promptTokens / blockTokens),
      blockTokens,
    },
    miss: missOf(parts),
    reasons: [...plan.reasons, ...failure, ...unsaved],
    ms: {
      restore: restored.restoreMs,
      prefill: done.prefillMs,
      decode: done.decodeMs,
      save: done.exportMs + parts.settleMs,
    },
  }
}

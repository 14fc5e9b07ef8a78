/** What the catalog is told of a request that has ended: no text of it, no error's words. Pure. */
import type { Plan } from '../../cache/index.ts'
import type { Missed } from '../catalog/types.ts'
import { kindOf } from '../errors.ts'
import type { GenerateRequest, Receipt, RequestRecord, Totals } from './types.ts'

export interface Ended {
  readonly model: string
  readonly atMs: number
  readonly plan: Plan | null
  readonly receipt: Receipt | null
  readonly failure: Error | null
}

export function requestRecord(request: GenerateRequest, ended: Ended): RequestRecord {
  const { model, atMs, plan, receipt, failure } = ended
  return {
    id: request.requestId,
    atMs,
    model,
    tenant: request.tenant,
    session: request.session,
    route: request.dialect,
    status: receipt?.status ?? 'failed',
    error: failure === null ? null : kindOf(failure).prefixdCode,
    plan: plan && keptOf(plan),
    receipt,
  }
}

const keptOf = ({ matchedTokens, computeFrom, estimate }: Plan): RequestRecord['plan'] => ({
  matchedTokens,
  computeFrom,
  estimate,
})

export function requestTotals(receipt: Receipt | null, savedPrefillMs: number): Partial<Totals> {
  if (receipt === null) return { requests: 1, failed: 1 }
  const { tier, restoredTokens } = receipt
  return {
    requests: 1,
    [receipt.status]: 1,
    promptTokens: receipt.promptTokens,
    ramTokens: tier === 'ram' ? restoredTokens : 0,
    ssdTokens: tier === 'ssd' ? restoredTokens : 0,
    computedTokens: receipt.computedTokens,
    savedTokens: receipt.savedTokens,
    generatedTokens: receipt.generatedTokens,
    savedPrefillMs,
  }
}

/** What this request computed although it had been stored; null where nothing is known of that. */
export function missedBlocks(
  { evicted, miss }: Plan,
  { ms, computedTokens }: Receipt,
): Omit<Missed, 'needsBoundary'> | null {
  if (evicted === undefined || miss?.reason !== 'evicted') return null
  return { blocks: evicted, msPerToken: computedTokens === 0 ? null : ms.prefill / computedTokens }
}

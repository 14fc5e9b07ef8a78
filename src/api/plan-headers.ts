/**
 * The two headers that say what the cache did. In a stream they leave before prefill ends and carry
 * the plan; in a whole reply they carry what the engine confirmed.
 */
import type { Receipt } from '../pipeline/types.ts'
import type { PlannedEvent } from './answer.ts'
import { roundMs } from './milliseconds.ts'

interface CacheOutcome {
  readonly status: Receipt['status']
  readonly tier: Receipt['tier']
  readonly reason: string | null
}

export function plannedHeaders(planned: PlannedEvent): Record<string, string> {
  const { plan, ms } = planned
  const { outcome, tier, miss, estimate } = plan
  return {
    'cache-status': cacheStatus({ status: outcome, tier, reason: miss?.reason ?? null }),
    'server-timing': serverTiming([
      ['load', ms.load],
      ['queue', ms.queue],
      ['tokenize', ms.tokenize],
      ['plan', ms.plan],
      ['restore', tier === null ? null : estimate.restoreMs, 'estimate'],
    ]),
  }
}

export function confirmedHeaders(receipt: Receipt): Record<string, string> {
  const { status, tier, miss, ms } = receipt
  return {
    'cache-status': cacheStatus({ status, tier, reason: miss?.reason ?? null }),
    'server-timing': serverTiming([
      ['load', ms.load],
      ['queue', ms.queue],
      ['tokenize', ms.tokenize],
      ['plan', ms.plan],
      ['restore', tier === null ? null : ms.restore],
      ['prefill', ms.prefill],
      ['decode', ms.decode],
      ['save', ms.save],
    ]),
  }
}

/** RFC 9211: `hit` is a parameter of its own; everything else says why the request went on. */
function cacheStatus({ status, tier, reason }: CacheOutcome): string {
  const forwarded = status === 'hit' ? 'hit' : `fwd=${status}`
  const detail = tier ?? reason
  return ['prefixd', forwarded, ...(detail === null ? [] : [`detail=${detail}`])].join('; ')
}

type Timing = readonly [name: string, ms: number | null, description?: string]

function serverTiming(timings: readonly Timing[]): string {
  const known = timings.filter(([, ms]) => ms !== null)
  return known
    .map(([name, ms, description]) => {
      const duration = `${name};dur=${roundMs(ms ?? 0)}`
      return description === undefined ? duration : `${duration};desc="${description}"`
    })
    .join(', ')
}

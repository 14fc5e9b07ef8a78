/**
 * The decision for one request. Pure: what matches and the rates come in, a plan with reasons goes
 * out.
 */
import { boundaryKindsOf, withBoundaryLeft } from './boundaries.ts'
import type {
  BlockHash,
  Layout,
  MissReason,
  Plan,
  PlannedRecord,
  Rates,
  RecordKind,
  ReuseMode,
  TierName,
} from './types.ts'

/** A stored record along the prompt's best chain. */
export interface PlanMatch {
  readonly hash: BlockHash
  readonly from: number
  /** Tokens that the record holds, and how many of them the prompt shares. */
  readonly storedTokens: number
  readonly sharedTokens: number
  readonly sizeBytes: number
  readonly tier: TierName
  /** Do other stored blocks follow this one? Then the prompt left a path that goes on. */
  readonly continues: boolean
}

/** Where a layout that restores to boundaries only can be restored to. */
export interface PlanBoundary {
  /** One of each kind that the layout needs beside rows, at the end of the last match. */
  readonly records: readonly {
    readonly kind: RecordKind
    readonly sizeBytes: number
    readonly tier: TierName
  }[]
  /** Tokens whose rows are stored, which may be more than up to the boundary. */
  readonly matchedTokens: number
  /** There would be a boundary at this position or behind it, if none had gone; 0: not surely. */
  readonly expectedAt: number
  /** Where the prompt leaves a stored one a boundary could be saved; 0: it leaves none. */
  readonly leftAt: number
  /** Does the longest stored beginning go on, in another way than the prompt? */
  readonly goesOn: boolean
}

export interface EvictedRun {
  readonly blocks: readonly BlockHash[]
  readonly tokenCount: number
  /** Of the first one. */
  readonly atMs: number
  readonly agoMs: number
  readonly cause: 'room' | 'asked'
}

export interface PlanInput {
  readonly promptTokens: number
  /** No restore ends behind this position; absent: before the last token. */
  readonly lastRestorable?: number
  readonly reuse: ReuseMode
  readonly layout: Layout
  /** In chain order; all but the last one are shared in full. */
  readonly matches: readonly PlanMatch[]
  /** Set where the layout needs a boundary; the matches then end at it, or are none. */
  readonly boundary?: PlanBoundary
  /** What comes next and was evicted; absent and null: nothing that anybody remembers. */
  readonly evicted?: EvictedRun | null
  /** What comes next was stored, and is not used since it was damaged; absent: it was not. */
  readonly isDamaged?: boolean
  /** Positions that are worth saving, rising; absent: none. */
  readonly boundaries?: readonly number[]
  readonly rates: Rates
  readonly read: boolean
}

/** Sum of what restoring these records should take; null when a needed rate is not known yet. */
function estimateRestoreMs(records: readonly PlannedRecord[], rates: Rates): number | null {
  let sumMs = 0
  for (const record of records) {
    const rate = rates.restoreBytesPerMs[record.tier]
    if (rate === null) return null
    sumMs += record.sizeBytes / rate
  }
  return sumMs
}

function estimatePrefillMs(tokenCount: number, rates: Rates): number | null {
  return rates.prefillTokensPerMs === null ? null : tokenCount / rates.prefillTokensPerMs
}

/** Is reading these records no slower than computing so many tokens? Yes, while nobody knows. */
function areWorthRestoring(
  records: readonly PlannedRecord[],
  tokenCount: number,
  rates: Rates,
): boolean {
  const restoreMs = estimateRestoreMs(records, rates)
  const prefillMs = estimatePrefillMs(tokenCount, rates)
  return restoreMs === null || prefillMs === null || restoreMs <= prefillMs
}

/**
 * Cuts the matches to what may be restored: never the last token, in block mode whole blocks
 * only.
 */
function restorable(input: PlanInput): PlannedRecord[] {
  if (input.boundary !== undefined) return upToBoundary(input.matches, input.boundary)
  const records: PlannedRecord[] = []
  const lastUsable = input.promptTokens - 1
  for (const match of input.matches) {
    const to = Math.min(match.from + match.sharedTokens, lastUsable)
    if (to <= match.from) break
    const isTrimmed = to < match.from + match.storedTokens
    if (isTrimmed && (input.reuse === 'block' || !input.layout.sliceable)) break
    records.push({
      hash: match.hash,
      kind: 'kv',
      from: match.from,
      to,
      sizeBytes: match.sizeBytes,
      tier: match.tier,
    })
    if (isTrimmed) break
  }
  return records
}

/** Rows in order, and last what is exact where they end. */
function upToBoundary(matches: readonly PlanMatch[], boundary: PlanBoundary): PlannedRecord[] {
  const rows = matches.map(({ hash, from, storedTokens, sizeBytes, tier }): PlannedRecord => {
    return { hash, kind: 'kv', from, to: from + storedTokens, sizeBytes, tier }
  })
  const last = rows.at(-1)
  return last === undefined ? [] : [...rows, ...boundary.records.map((it) => ({ ...last, ...it }))]
}

/** What is worth restoring of what could be. Up to a boundary: all of it, or nothing. */
function worthwhile(
  offered: readonly PlannedRecord[],
  { boundary, rates }: PlanInput,
): readonly PlannedRecord[] {
  if (boundary !== undefined) {
    return areWorthRestoring(offered, offered.at(-1)?.to ?? 0, rates) ? offered : []
  }
  const last = offered.findLastIndex((it) => areWorthRestoring([it], it.to - it.from, rates))
  return offered.slice(0, last + 1)
}

const slowest = (records: readonly PlannedRecord[]): TierName | null => {
  if (records.length === 0) return null
  return records.some((record) => record.tier === 'ssd') ? 'ssd' : 'ram'
}

function without(
  input: PlanInput,
  outcome: 'miss' | 'bypass',
  reason: MissReason,
  why: string,
): Plan {
  return {
    outcome,
    promptTokens: input.promptTokens,
    records: [],
    computeFrom: 0,
    boundaries: boundaryKindsOf(input.layout).length === 0 ? [] : (input.boundaries ?? []),
    matchedTokens: 0,
    tier: null,
    miss: { reason, atToken: 0 },
    estimate: { restoreMs: 0, prefillMs: estimatePrefillMs(input.promptTokens, input.rates) },
    reasons: [why],
  }
}

/** Why the prompt is not restored to its end, or null when there was nothing more to restore. */
function missOf(
  input: PlanInput,
  matchedTokens: number,
  computeFrom: number,
  isDeclined: boolean,
): Plan['miss'] {
  if (isDeclined) return { reason: 'restore_not_worth_it', atToken: computeFrom }
  if (input.boundary !== undefined && computeFrom < input.boundary.expectedAt) {
    return { reason: 'no_boundary', atToken: computeFrom }
  }
  if (matchedTokens >= (input.lastRestorable ?? input.promptTokens - 1)) return null
  if (input.isDamaged === true) return { reason: 'corrupt', atToken: matchedTokens }
  if (input.evicted != null) {
    return { reason: 'evicted', atToken: matchedTokens, evictedAtMs: input.evicted.atMs }
  }
  if (input.boundary !== undefined && matchedTokens > 0) {
    return input.boundary.goesOn ? { reason: 'diverged', atToken: matchedTokens } : null
  }
  const last = input.matches.at(-1)
  if (last === undefined) return { reason: 'never_seen', atToken: 0 }
  const isInside = last.sharedTokens < last.storedTokens
  return isInside || last.continues ? { reason: 'diverged', atToken: matchedTokens } : null
}

export function makePlan(input: PlanInput): Plan {
  if (input.layout.kinds.length === 0) {
    const why = `served without cache: ${input.layout.refusal ?? 'the layout is not known'}`
    return without(input, 'bypass', 'unsupported_layout', why)
  }
  if (!input.read)
    return without(input, 'bypass', 'bypass', 'the request asked not to read the cache')

  const last = input.matches.at(-1)
  const sharedTokens = last === undefined ? 0 : last.from + last.sharedTokens
  const matchedTokens = input.boundary?.matchedTokens ?? sharedTokens
  const offered = restorable(input)
  const records = worthwhile(offered, input)
  const computeFrom = records.at(-1)?.to ?? 0
  const miss = missOf(input, matchedTokens, computeFrom, records.length < offered.length)
  const restoreMs = estimateRestoreMs(records, input.rates)
  const prefillMs = estimatePrefillMs(computeFrom, input.rates)
  const ahead = (input.boundaries ?? []).filter((position) => position > computeFrom)
  return {
    outcome: records.length === 0 ? 'miss' : miss === null ? 'hit' : 'partial',
    promptTokens: input.promptTokens,
    records,
    computeFrom,
    boundaries: withBoundaryLeft(ahead, input.boundary?.leftAt ?? 0, computeFrom),
    matchedTokens,
    tier: slowest(records),
    // A match that is too short to restore anything is a miss of something never seen.
    miss: records.length === 0 && miss === null ? { reason: 'never_seen', atToken: 0 } : miss,
    ...(input.evicted == null ? {} : { evicted: input.evicted.blocks }),
    estimate: { restoreMs, prefillMs },
    reasons: explain(input, { matchedTokens, computeFrom, records, offered }),
  }
}

function evictedWords({ tokenCount, agoMs, cause }: EvictedRun): string {
  const why = cause === 'room' ? 'to make room for others' : 'because somebody asked for that'
  return `the next ${tokenCount} tokens were stored, and evicted ${ago(agoMs)} ago, ${why}`
}

function ago(ms: number): string {
  const minutes = Math.max(0, ms) / 60_000
  if (minutes < 1) return `${Math.floor(minutes * 60)} s`
  if (minutes < 120) return `${Math.floor(minutes)} min`
  return minutes < 2880 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1440)} days`
}

const exactPart = ({ layout }: PlanInput): string => boundaryKindsOf(layout).join(' and ')

/** What was compared, whichever was chosen: by the rates of this model and of each tier. */
function timesOf(records: readonly PlannedRecord[], tokenCount: number, rates: Rates): string {
  const restoreMs = estimateRestoreMs(records, rates)
  const prefillMs = estimatePrefillMs(tokenCount, rates)
  if (restoreMs === null && prefillMs === null) {
    return 'too little was measured to say how long it takes'
  }
  if (prefillMs === null) return `about ${restoreMs?.toFixed(0)} ms; prefill was not measured yet`
  const restore =
    restoreMs === null ? 'a time not measured yet' : `about ${restoreMs.toFixed(0)} ms`
  return `${restore} against ${prefillMs.toFixed(0)} ms of prefill`
}

interface Decision {
  readonly matchedTokens: number
  readonly computeFrom: number
  readonly records: readonly PlannedRecord[]
  readonly offered: readonly PlannedRecord[]
}

function explain(input: PlanInput, made: Decision): string[] {
  const { matchedTokens, computeFrom, records } = made
  const isDeclined = records.length < made.offered.length
  const usableTokens = Math.min(matchedTokens, input.promptTokens - 1)
  const reasons: string[] = []
  const isCutBack = input.boundary !== undefined && computeFrom < usableTokens && !isDeclined
  reasons.push(
    matchedTokens === 0
      ? 'no stored block begins like this prompt'
      : isCutBack
        ? `of ${matchedTokens} of ${input.promptTokens} prompt tokens the rows are stored, which ` +
          `this model cannot go on from without its ${exactPart(input)}`
        : `${matchedTokens} of ${input.promptTokens} prompt tokens are stored`,
  )
  if (input.evicted != null) reasons.push(evictedWords(input.evicted))
  if (input.isDamaged === true) {
    reasons.push('what was stored of the next tokens was damaged, and is not used any more')
  }
  if (matchedTokens === input.promptTokens) {
    reasons.push('the last token is always computed: its logits are not stored')
  }
  if (isCutBack) {
    const where = computeFrom === 0 ? 'nowhere before them' : `at token ${computeFrom} last`
    reasons.push(
      `tokens ${computeFrom} to ${usableTokens} are computed again: the ${exactPart(input)} ` +
        `is stored ${where}`,
    )
  } else if (input.reuse === 'block' && computeFrom < matchedTokens) {
    reasons.push(`reuse by whole blocks: restoring ends at token ${computeFrom}`)
  }
  if (isDeclined) {
    const declined = made.offered.slice(records.length)
    reasons.push(
      `${declined.length} records from ${slowest(declined)} are left out: ` +
        timesOf(declined, (declined.at(-1)?.to ?? 0) - computeFrom, input.rates),
    )
  }
  if (records.length > 0) {
    reasons.push(
      `restore ${computeFrom} tokens in ${records.length} records from ${slowest(records)}: ` +
        timesOf(records, computeFrom, input.rates),
    )
  }
  return reasons
}

/** What the pipeline reports → the JSON of schema.ts. Pure. */
import type { ShareUsage, TierUsage } from '../../../cache/types.ts'
import type {
  AdviceStep,
  CacheStats,
  EvictReport,
  PinList,
  PinSummary,
  PrefixDetail,
  PrefixPage,
  PrefixSummary,
  SsdWrites,
  TokenCounts,
  WorkerReport,
} from '../../pipeline/types.ts'
import { toShares } from './budgets.ts'
import type {
  EvictReportJson,
  LayoutJson,
  PinJson,
  PinListJson,
  PrefixDetailJson,
  PrefixPageJson,
  PrefixSummaryJson,
  WorkerJson,
} from './schema.ts'
import type { AdviceStepJson, CacheStatsJson } from './stats-schema.ts'
import type { SsdWritesJson } from './writes-schema.ts'

const daysPerYear = 365

export function toCacheStats(stats: CacheStats, shares: readonly ShareUsage[]): CacheStatsJson {
  return {
    version: stats.version,
    up_ms: stats.upMs,
    block_tokens: stats.blockTokens,
    reuse: stats.reuse,
    directory: stats.directory,
    tiers: stats.tiers.map((tier) => ({
      tier: tier.tier,
      used_bytes: tier.usedBytes,
      capacity_bytes: tier.capacityBytes,
      blocks: tier.blocks,
      boundary_bytes: tier.boundaryBytes,
      reclaimable_bytes: tier.reclaimableBytes,
      evicted_records: tier.evictedRecords,
      read_bytes: tier.readBytes,
      written_bytes: tier.writtenBytes,
    })),
    prefixes: stats.prefixes,
    blocks: stats.blocks,
    requests: { ...stats.requests },
    tokens: toTokenCounts(stats.tokens),
    saved_prefill_ms: stats.savedPrefillMs,
    sessions: stats.sessions,
    hygiene: stats.hygiene.map(({ name, requests, chars }) => ({
      name,
      requests,
      removed_chars: chars,
    })),
    restores: { ...stats.restores },
    corrupt_blocks: stats.corruptBlocks,
    failed_writes: stats.failedWrites,
    refused_writes: stats.refusedWrites,
    advice: stats.advice && toAdviceStep(stats.advice),
    ssd_writes: stats.ssdWrites === null ? null : toSsdWrites(stats.ssdWrites, stats.tiers),
    ssd_disk: stats.ssdDisk && {
      state: stats.ssdDisk.state,
      free_bytes: stats.ssdDisk.freeBytes,
      resumes_at_bytes: stats.ssdDisk.resumesAtBytes,
    },
    shares: toShares(shares),
    ttft_ms: { ...stats.ttftMs },
    models: stats.models.map(({ model, requests, tokens, rates }) => ({
      model,
      requests: { ...requests },
      tokens: toTokenCounts(tokens),
      rates: {
        prefill_tokens_per_second: rates.prefillTokensPerSecond,
        restore_bytes_per_second: { ...rates.restoreBytesPerSecond },
      },
    })),
  }
}

export const toAdviceStep = (step: AdviceStep): AdviceStepJson => ({
  tier: step.tier,
  more_bytes: step.moreBytes,
  requests: step.requests,
  tokens: step.tokens,
  prefill_ms: step.prefillMs,
})

function toSsdWrites(writes: SsdWrites, tiers: readonly TierUsage[]): SsdWritesJson {
  const capacityBytes = tiers.find(({ tier }) => tier === 'ssd')?.capacityBytes ?? 0
  return {
    per_day_bytes: writes.perDayBytes,
    left_bytes: writes.leftBytes,
    today_bytes: writes.todayBytes,
    refused_today_bytes: writes.refusedTodayBytes,
    mean_per_day_bytes: writes.meanPerDayBytes,
    projected_per_year_bytes: writes.meanPerDayBytes * daysPerYear,
    tier_writes_per_day: capacityBytes === 0 ? 0 : writes.meanPerDayBytes / capacityBytes,
  }
}

const toTokenCounts = (tokens: TokenCounts): CacheStatsJson['tokens'] => ({
  prompt: tokens.prompt,
  restored_ram: tokens.restoredRam,
  restored_ssd: tokens.restoredSsd,
  computed: tokens.computed,
  saved: tokens.saved,
  generated: tokens.generated,
})

function toPrefixSummary(prefix: PrefixSummary): PrefixSummaryJson {
  return {
    id: prefix.id,
    model: prefix.model,
    namespace: prefix.namespace,
    tokens: prefix.tokens,
    restorable_tokens: prefix.restorableTokens,
    durable_tokens: prefix.durableTokens,
    size_bytes: prefix.sizeBytes,
    unique_bytes: prefix.uniqueBytes,
    tiers: [...prefix.tiers],
    hits: prefix.hits,
    created_at_ms: prefix.createdAtMs,
    last_used_at_ms: prefix.lastUsedAtMs,
    leased: prefix.leased,
    pinned: prefix.pinned,
    pinned_until_ms: prefix.pinnedUntilMs,
    tenant: prefix.tenant,
    sessions: [...prefix.sessions],
    grown_from: prefix.grownFrom,
    label: prefix.label,
  }
}

export function toPrefixPage(page: PrefixPage): PrefixPageJson {
  return {
    object: 'list',
    data: page.prefixes.map(toPrefixSummary),
    total: page.total,
    next_cursor: page.nextCursor,
  }
}

export function toPrefixDetail(prefix: PrefixDetail): PrefixDetailJson {
  return {
    ...toPrefixSummary(prefix),
    stored_by: prefix.storedBy,
    mismatches: prefix.mismatches.map((mismatch) => ({ ...mismatch })),
    kept_because: prefix.keptBecause.map(({ reason, prefix: id, untilMs }) => ({
      reason,
      prefix: id,
      until_ms: untilMs,
    })),
    recent_uses: prefix.recentUses,
    idle_weight: prefix.idleWeight,
    blocks: prefix.blocks.map((block) => ({
      hash: block.hash,
      from: block.from,
      to: block.to,
      size_bytes: block.sizeBytes,
      tiers: [...block.tiers],
      shared_by: block.sharedBy,
      grid: block.grid,
      kinds: [...block.kinds],
    })),
    reclaimable_bytes: prefix.reclaimableBytes,
  }
}

export function toEvictReport(report: EvictReport): EvictReportJson {
  return {
    dry_run: report.dryRun,
    blocks: report.blocks,
    prefixes: report.prefixes,
    freed_bytes: { ...report.freedBytes },
    kept_blocks: report.keptBlocks,
    pinned_blocks: report.pinnedBlocks,
  }
}

export const toPin = (pin: PinSummary): PinJson => ({
  id: pin.id,
  model: pin.model,
  tokens: pin.tokens,
  size_bytes: pin.sizeBytes,
  state: pin.state,
  until_ms: pin.untilMs,
  created_at_ms: pin.createdAtMs,
})

export const toPinList = ({ pins, tiers }: PinList): PinListJson => ({
  object: 'list',
  data: pins.map(toPin),
  tiers: tiers.map(({ tier, keptBytes, mostBytes }) => ({
    tier,
    kept_bytes: keptBytes,
    most_bytes: Math.floor(mostBytes),
  })),
})

export function toWorker({ status, layout, ...worker }: WorkerReport): WorkerJson {
  return {
    model: worker.model,
    engine: worker.engine,
    state: status.state,
    pid: status.pid,
    restarts: status.restarts,
    started_at_ms: status.startedAtMs,
    last_error: status.lastError,
    busy_sequences: status.busySequences,
    queued_requests: status.queuedRequests,
    context_tokens: worker.contextTokens,
    sequences: worker.sequences,
    layout: layout && toLayout(layout),
    device: worker.device,
    memory: {
      estimated_bytes: worker.memory.estimatedBytes,
      resident_bytes: worker.memory.residentBytes,
    },
  }
}

function toLayout(layout: NonNullable<WorkerReport['layout']>): LayoutJson {
  const { kinds, sliceable, refusal, kvBytesPerToken, kvFixedBytes } = layout
  const hasRows = kvBytesPerToken + kvFixedBytes > 0
  const known = (bytes: number): number | null => (kinds.length === 0 ? null : bytes)
  return {
    kinds: kinds.filter((kind) => kind !== 'kv' || hasRows),
    sliceable,
    refusal,
    kv_bytes_per_token: known(kvBytesPerToken),
    kv_fixed_bytes: known(kvFixedBytes),
    row_bytes_per_token: known(layout.rowBytesPerToken),
    boundary_bytes: known(layout.boundaryBytes),
  }
}

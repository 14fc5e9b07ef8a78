/** The page of `prefixd stats`: the operator's questions, in their order. */
import type {
  CacheStatsJson,
  ModelStatsJson,
  TierStatsJson,
} from '../../api/native/stats-schema.ts'
import { formatSize } from '../../config/sizes.ts'
import { style, type Terminal } from '../context.ts'
import { bar } from './bar.ts'
import { formatCompact, formatCount, formatPlural, formatShare } from './count.ts'
import { formatDuration } from './duration.ts'
import { shareTable } from './shares-page.ts'
import { type Column, tableLines } from './table.ts'
import { pad, printable, wrap } from './text.ts'

export function statsPage(stats: CacheStatsJson, terminal: Terminal): string[] {
  const title = [
    `prefixd ${printable(stats.version)}`,
    `up ${formatDuration(stats.up_ms)}`,
    `block ${formatPlural(stats.block_tokens, 'token')}`,
    `reuse ${stats.reuse}`,
  ]
  return [
    title.join(' · '),
    '',
    ...tableLines(tierColumns, stats.tiers, terminal.width, (line) =>
      style(terminal, 'bold', line),
    ),
    '',
    ...facts(stats).map(([name, value]) => `${pad(name, 15, 'left')}  ${value}`),
    ...modelTable(stats, terminal),
    ...shareTable(stats.shares, terminal),
    ...warnings(stats).flatMap((warning) => ['', ...wrap(warning, terminal.width)]),
  ]
}

const tierColumns: readonly Column<TierStatsJson>[] = [
  { title: 'TIER', priority: 0, value: ({ tier }) => tier },
  { title: 'USED', priority: 0, align: 'right', value: (tier) => formatSize(tier.used_bytes) },
  { title: 'LIMIT', priority: 1, align: 'right', value: (tier) => formatSize(tier.capacity_bytes) },
  { title: 'FILL', priority: 2, value: (tier) => bar(tier.used_bytes / tier.capacity_bytes, 20) },
  { title: 'BLOCKS', priority: 3, align: 'right', value: (tier) => formatCount(tier.blocks) },
  {
    title: 'EVICTED',
    priority: 4,
    align: 'right',
    value: (tier) => formatCount(tier.evicted_records),
  },
  {
    title: 'RECLAIMABLE',
    priority: 5,
    align: 'right',
    value: (tier) => {
      const share = Math.round((100 * tier.reclaimable_bytes) / Math.max(1, tier.used_bytes))
      return `${formatSize(tier.reclaimable_bytes)} (${share}%)`
    },
  },
]

/** One model's figures are those of the service. */
function modelTable({ models }: CacheStatsJson, terminal: Terminal): string[] {
  if (models.length === 1) return []
  const bold = (line: string) => style(terminal, 'bold', line)
  return ['', ...tableLines(modelColumns, models, terminal.width, bold)]
}

const modelColumns: readonly Column<ModelStatsJson>[] = [
  { title: 'MODEL', priority: 0, maxCells: 32, minCells: 12, value: ({ model }) => model },
  {
    title: 'REQUESTS',
    priority: 0,
    align: 'right',
    value: ({ requests }) => formatCount(requests.total),
  },
  {
    title: 'PROMPT',
    priority: 2,
    align: 'right',
    value: ({ tokens }) => formatCompact(tokens.prompt),
  },
  {
    title: 'CACHED',
    priority: 1,
    align: 'right',
    value: ({ tokens }) => formatShare(tokens.restored_ram + tokens.restored_ssd, tokens.prompt),
  },
  { title: 'PREFILL', priority: 3, align: 'right', value: ({ rates }) => prefillSpeed(rates) },
  {
    title: 'FROM RAM',
    priority: 4,
    align: 'right',
    value: ({ rates }) => speed(rates.restore_bytes_per_second.ram),
  },
  {
    title: 'FROM SSD',
    priority: 4,
    align: 'right',
    value: ({ rates }) => speed(rates.restore_bytes_per_second.ssd),
  },
]

function facts(stats: CacheStatsJson): [string, string][] {
  const { requests, tokens, ttft_ms: ttft, restores } = stats
  const outcomes = (['hit', 'partial', 'miss', 'bypass', 'failed'] as const)
    .filter((outcome) => requests[outcome] > 0)
    .map((outcome) => `${formatCount(requests[outcome])} ${outcome}`)
  return [
    ['requests', [formatCount(requests.total), ...outcomes].join(' · ')],
    ['prompt tokens', formatCompact(tokens.prompt)],
    ['  from ram', formatShare(tokens.restored_ram, tokens.prompt)],
    ['  from ssd', formatShare(tokens.restored_ssd, tokens.prompt)],
    ['  computed', formatShare(tokens.computed, tokens.prompt)],
    ['first token', `${known(ttft.hit)} on a hit · ${known(ttft.miss)} on a miss`],
    ['restores', `${formatCount(restores.ok)} of ${formatCount(restores.ok + restores.failed)} ok`],
    ...speeds(stats),
    ['saved prefill', formatDuration(stats.saved_prefill_ms)],
    ['stored', `${formatPlural(stats.prefixes, 'prefix', 'prefixes')} in ${blocksOf(stats)}`],
    ...boundaries(stats),
    ...moreRoom(stats),
    ...writes(stats),
    ['directory', printable(stats.directory)],
  ]
}

/** Each model has its own; those of several stand in their table. */
function speeds({ models: [only, ...others] }: CacheStatsJson): [string, string][] {
  if (only === undefined || others.length > 0) return []
  const { ram, ssd } = only.rates.restore_bytes_per_second
  return [
    ['restore speed', `${speed(ram)} from ram · ${speed(ssd)} from ssd`],
    ['prefill speed', prefillSpeed(only.rates)],
  ]
}

/** Of models that need none nobody has to read about them. */
function boundaries({ tiers }: CacheStatsJson): [string, string][] {
  const parts = tiers
    .filter((tier) => tier.boundary_bytes > 0)
    .map((tier) => `${formatSize(tier.boundary_bytes)} of ${tier.tier}`)
  return parts.length === 0 ? [] : [['  boundaries', parts.join(' · ')]]
}

/** Only where it would have helped. */
function moreRoom({ advice }: CacheStatsJson): [string, string][] {
  if (advice === null) return []
  const { tier, more_bytes: moreBytes, tokens } = advice
  const served = `would have served ${formatCompact(tokens)} tokens more in 7 days`
  return [['more room', `${formatSize(moreBytes)} more ${tier} ${served}`]]
}

/** The wear, and the budget where there is one. */
function writes({ ssd_writes: ssd }: CacheStatsJson): [string, string][] {
  if (ssd === null) return []
  const { per_day_bytes: perDayBytes, refused_today_bytes: refusedBytes } = ssd
  const today = [
    formatSize(ssd.today_bytes) + (perDayBytes === null ? '' : ` of ${formatSize(perDayBytes)}`),
    ...(refusedBytes === 0 ? [] : [`${formatSize(refusedBytes)} had to stay in RAM`]),
  ]
  // Drives are rated in these.
  const terabytes = (ssd.projected_per_year_bytes / 1e12).toPrecision(3)
  return [
    ['written today', today.join(' · ')],
    ['wear', `${terabytes} TB a year · ${ssd.tier_writes_per_day.toFixed(2)} tier writes a day`],
  ]
}

const blocksOf = (stats: CacheStatsJson): string => formatPlural(stats.blocks, 'block')
const known = (ms: number | null): string => (ms === null ? '-' : formatDuration(ms))
const speed = (bytesPerSecond: number | null): string =>
  bytesPerSecond === null ? '-' : `${formatSize(bytesPerSecond)}/s`
const prefillSpeed = ({
  prefill_tokens_per_second: tokensPerSecond,
}: ModelStatsJson['rates']): string =>
  tokensPerSecond === null ? '-' : `${formatCompact(tokensPerSecond)} tokens/s`

/** Only what somebody may have to act on. */
function warnings(stats: CacheStatsJson): string[] {
  const { corrupt_blocks: corrupt, failed_writes: failed, ssd_disk: disk } = stats
  const { refused_writes: refused } = stats
  const lines = disk === null ? [] : diskWarnings(disk)
  if (corrupt > 0) {
    const were = corrupt === 1 ? 'block was' : 'blocks were'
    lines.push(
      `${formatCount(corrupt)} ${were} damaged and set aside; the tokens are computed again. ` +
        'Check the disk.',
    )
  }
  if (failed > 0) {
    lines.push(
      `${formatPlural(failed, 'write')} to the ssd failed. Check the free space of the directory.`,
    )
  }
  if (refused > 0) {
    lines.push(
      `${formatPlural(refused, 'record')} found no room on the ssd: a share or the tier is used ` +
        'up by what has to stay, or the tier could not grow. See the log and `prefixd budget`.',
    )
  }
  return lines
}

function diskWarnings({
  state,
  free_bytes: freeBytes,
  resumes_at_bytes: resumesAtBytes,
}: NonNullable<CacheStatsJson['ssd_disk']>): string[] {
  if (state === 'enough') return []
  const free = freeBytes === null ? 'too little' : inMebibytes(freeBytes)
  const what =
    state === 'no_growth'
      ? 'The ssd tier grows no further'
      : 'Nothing is written to the ssd: what is computed stays in RAM'
  const resumes =
    resumesAtBytes === null ? 'when there is more' : `with ${inMebibytes(resumesAtBytes)}`
  return [`The file system has ${free} free. ${what}. It goes on by itself ${resumes}.`]
}

/** What is free and what is wanted may differ by a few of them. */
const inMebibytes = (bytes: number): string => `${formatCount(Math.floor(bytes / 1024 ** 2))} MiB`

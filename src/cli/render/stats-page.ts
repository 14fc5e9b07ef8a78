/** The page of `prefixd stats`: the operator's questions, in their order. */
import type { CacheStatsJson, TierStatsJson } from '../../api/native/schema.ts'
import { formatSize } from '../../config/sizes.ts'
import { style, type Terminal } from '../context.ts'
import { bar } from './bar.ts'
import { formatCompact, formatCount, formatPlural, formatShare } from './count.ts'
import { formatDuration } from './duration.ts'
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

function facts(stats: CacheStatsJson): [string, string][] {
  const { requests, tokens, ttft_ms: ttft, restores, rates } = stats
  const { ram: fromRam, ssd: fromSsd } = rates.restore_bytes_per_second
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
    ['restore speed', `${speed(fromRam)} from ram · ${speed(fromSsd)} from ssd`],
    ['prefill speed', tokenSpeed(rates.prefill_tokens_per_second)],
    ['saved prefill', formatDuration(stats.saved_prefill_ms)],
    ['stored', `${formatPlural(stats.prefixes, 'prefix', 'prefixes')} in ${blocksOf(stats)}`],
    ...boundaries(stats),
    ['directory', printable(stats.directory)],
  ]
}

/** Of models that need none nobody has to read about them. */
function boundaries({ tiers }: CacheStatsJson): [string, string][] {
  const parts = tiers
    .filter((tier) => tier.boundary_bytes > 0)
    .map((tier) => `${formatSize(tier.boundary_bytes)} of ${tier.tier}`)
  return parts.length === 0 ? [] : [['  boundaries', parts.join(' · ')]]
}

const blocksOf = (stats: CacheStatsJson): string => formatPlural(stats.blocks, 'block')
const known = (ms: number | null): string => (ms === null ? '-' : formatDuration(ms))
const speed = (bytesPerSecond: number | null): string =>
  bytesPerSecond === null ? '-' : `${formatSize(bytesPerSecond)}/s`
const tokenSpeed = (tokensPerSecond: number | null): string =>
  tokensPerSecond === null ? '-' : `${formatCompact(tokensPerSecond)} tokens/s`

/** Only what somebody may have to act on. */
function warnings({ corrupt_blocks: corrupt, failed_writes: failed }: CacheStatsJson): string[] {
  const lines: string[] = []
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
  return lines
}

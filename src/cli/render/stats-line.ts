/** One line of `prefixd stats --watch` into a pipe, in the manner of `redis-cli --stat`. */
import type { CacheStatsJson } from '../../api/native/stats-schema.ts'
import { threeDigits } from './count.ts'
import { formatClock } from './duration.ts'
import { pad } from './text.ts'

interface Sample {
  readonly atMs: number
  readonly stats: CacheStatsJson
}

const titles = [
  ['time', 8],
  ['req/s', 6],
  ['prompt', 8],
  ['hit%', 5],
  ['ram%', 5],
  ['ssd%', 5],
  ['evict', 6],
  ['ram GiB', 8],
  ['ssd GiB', 8],
] as const

export const rollingHeader = titles
  .map(([title, cells], index) => pad(title, cells, index === 0 ? 'left' : 'right'))
  .join('  ')

/** What happened between two samples; the first line has nothing to compare with. */
export function rollingLine(now: Sample, before: Sample | null): string {
  const change = changes(now, before)
  const share = (tokens: number) =>
    change.prompt > 0 ? ((100 * tokens) / change.prompt).toFixed(1) : '-'
  const cells = [
    formatClock(now.atMs),
    change.seconds > 0 ? (change.requests / change.seconds).toFixed(1) : '-',
    `${change.prompt}`,
    share(change.ram + change.ssd),
    share(change.ram),
    share(change.ssd),
    `${change.evicted}`,
    usedGib(now.stats, 'ram'),
    usedGib(now.stats, 'ssd'),
  ]
  return titles.map(([, width], index) => pad(cells[index] ?? '', width, 'right')).join('  ')
}

function changes(now: Sample, before: Sample | null) {
  // A service that was restarted in between counts from zero again.
  const from = before !== null && before.stats.up_ms <= now.stats.up_ms ? before.stats : null
  const { requests, tokens } = now.stats
  const since = (current: number, earlier: number | undefined) =>
    before === null ? 0 : current - (earlier ?? 0)
  return {
    seconds: before === null ? 0 : (now.atMs - before.atMs) / 1000,
    requests: since(requests.total, from?.requests.total),
    prompt: since(tokens.prompt, from?.tokens.prompt),
    ram: since(tokens.restored_ram, from?.tokens.restored_ram),
    ssd: since(tokens.restored_ssd, from?.tokens.restored_ssd),
    evicted: since(evicted(now.stats), from === null ? undefined : evicted(from)),
  }
}

const evicted = (stats: CacheStatsJson): number =>
  stats.tiers.reduce((sum, tier) => sum + tier.evicted_records, 0)

function usedGib(stats: CacheStatsJson, name: 'ram' | 'ssd'): string {
  const tier = stats.tiers.find((candidate) => candidate.tier === name)
  return tier === undefined ? '-' : threeDigits(tier.used_bytes / 1024 ** 3)
}

/** What `prefixd serve` says when it is ready: where, what, and what is still there. */
import type { WorkerJson } from '../../api/native/schema.ts'
import type { CacheStatsJson, TierStatsJson } from '../../api/native/stats-schema.ts'
import { formatSize } from '../../config/sizes.ts'
import { formatCount, formatPlural } from './count.ts'
import { printable } from './text.ts'

export interface BannerFacts {
  /** Without a path. */
  readonly url: string
  readonly stats: CacheStatsJson
  readonly workers: readonly WorkerJson[]
  /** Does the service want one of its own keys? Without, any word will do. */
  readonly hasKeys: boolean
  /** What was asked for and is not so. */
  readonly warnings: readonly string[]
  /** Written as `~` in paths. */
  readonly home: string
}

/** Pairs of a padded label and its text. */
export function bannerLines(facts: BannerFacts): [label: string, text: string][] {
  const endpoint = `${facts.url.replace(/\/+$/, '')}/v1`
  return [
    [`prefixd ${printable(facts.stats.version)}  `, endpoint],
    ...facts.workers.map((worker): [string, string] => ['model  ', workerText(worker)]),
    ['cache  ', cacheText(facts)],
    ...facts.warnings.map((text): [string, string] => ['warn   ', printable(text)]),
    [
      'try    ',
      `export OPENAI_BASE_URL=${endpoint} ` +
        `OPENAI_API_KEY=${facts.hasKeys ? 'KEY (one of your key file)' : 'local'}`,
    ],
  ]
}

function workerText(worker: WorkerJson): string {
  const parts = [worker.model]
  if (worker.context_tokens !== null) parts.push(`ctx ${formatCount(worker.context_tokens)}`)
  if (worker.device !== null) parts.push(worker.device)
  if (worker.state !== 'ready') parts.push(worker.state)
  const refusal = worker.layout?.refusal
  if (refusal) parts.push(`served without cache: ${refusal}`)
  return printable(parts.join(' · '))
}

function cacheText({ stats, home }: BannerFacts): string {
  const tiers = stats.tiers.filter((tier) => tier.capacity_bytes > 0).map(tierText)
  const where = stats.directory.startsWith(`${home}/`)
    ? `~${stats.directory.slice(home.length)}`
    : stats.directory
  const kept =
    stats.prefixes === 0
      ? 'empty'
      : `${formatPlural(stats.prefixes, 'prefix', 'prefixes')} from earlier runs`
  return printable(`${tiers.join(' · ')} in ${where} (${kept})`)
}

const tierText = (tier: TierStatsJson): string => `${tier.tier} ${formatSize(tier.capacity_bytes)}`

/** `prefixd ls`: what is stored, one line for each prefix. */
import type { PrefixPageJson, PrefixSort, PrefixSummaryJson } from '../../api/native/schema.ts'
import { limits } from '../../config/limits.ts'
import { formatSize } from '../../config/sizes.ts'
import type { Client } from '../client.ts'
import { type ClientFlags, connect } from '../connection.ts'
import { type CliContext, style, writeJson, writeLines } from '../context.ts'
import { formatCount, formatPlural } from '../render/count.ts'
import { formatAge, formatDuration } from '../render/duration.ts'
import { type Column, tableLines } from '../render/table.ts'
import { wrap } from '../render/text.ts'

export interface LsFlags extends ClientFlags {
  readonly model?: string
  readonly tier?: 'ram' | 'ssd'
  readonly sort: PrefixSort
  readonly limit: number
  readonly text?: boolean
}

export async function ls(this: CliContext, flags: LsFlags): Promise<void> {
  const page = await readPages(await connect(this, flags), flags)
  if (flags.json) return writeJson(this.out, page)
  if (page.data.length === 0) {
    const chosen = flags.model !== undefined || flags.tier !== undefined
    const advice = chosen ? 'no stored prefix matches' : 'nothing is stored yet'
    return writeLines(this.out, [advice])
  }
  writeLines(this.out, [
    ...tableLines(
      columnsFor(page.data, this.now(), flags.text === true),
      page.data,
      this.out.width,
      (line) => style(this.out, 'bold', line),
    ),
    '',
    `${formatCount(page.data.length)} of ${formatPlural(page.total, 'prefix', 'prefixes')}`,
    ...uselessNote(page.data).flatMap((note) => wrap(note, this.out.width)),
  ])
}

/** Rows whose windows or states have gone stay until their room is needed. */
function uselessNote(prefixes: readonly PrefixSummaryJson[]): string[] {
  const useless = prefixes.filter((prefix) => prefix.restorable_tokens === 0).length
  if (useless === 0) return []
  const have = useless === 1 ? 'prefix has' : 'prefixes have'
  return [
    `${formatCount(useless)} ${have} lost every window or state to go on from, and restore ` +
      'nothing; the rest of them goes when its room is needed, or with: prefixd evict PREFIX',
  ]
}

/** Follows the cursor until `limit` prefixes are there; each page is one request. */
async function readPages(client: Client, flags: LsFlags): Promise<PrefixPageJson> {
  const prefixes: PrefixSummaryJson[] = []
  let cursor: string | null = null
  let total = 0
  do {
    const page: PrefixPageJson = await client.prefixes({
      sort: flags.sort,
      limit: String(Math.min(flags.limit - prefixes.length, limits.prefixesPerPage)),
      ...(flags.model === undefined ? {} : { model: flags.model }),
      ...(flags.tier === undefined ? {} : { tier: flags.tier }),
      ...(cursor === null ? {} : { cursor }),
    })
    prefixes.push(...page.data)
    total = page.total
    // An empty page with a cursor would otherwise be asked for ever.
    cursor = page.data.length === 0 ? null : page.next_cursor
  } while (cursor !== null && prefixes.length < flags.limit)
  return { object: 'list', data: prefixes, total, next_cursor: cursor }
}

/** Up to where prompts can go on, if that is not everywhere. */
function columnsFor(
  prefixes: readonly PrefixSummaryJson[],
  nowMs: number,
  withText: boolean,
): Column<PrefixSummaryJson>[] {
  const isEverywhere = prefixes.every((prefix) => prefix.restorable_tokens === prefix.tokens)
  const hidden = isEverywhere ? 'RESTORES' : null
  const shown = columns(nowMs).filter(({ title }) => title !== hidden)
  return withText ? [...shown, label] : shown
}

/** Words of strangers: the table writes out what a terminal would obey. */
const label: Column<PrefixSummaryJson> = {
  title: 'TEXT',
  priority: 1,
  maxCells: 32,
  minCells: 8,
  value: (prefix) => prefix.label ?? '-',
}

/** Says that it is on the SSD only as far as a restart would keep it. */
function tierCell(prefix: PrefixSummaryJson): string {
  const { tiers, restorable_tokens: restorable, durable_tokens: durable } = prefix
  if (durable === restorable || !tiers.includes('ssd')) return tiers.join('+')
  return durable === 0 ? 'ram' : `ram, ssd to ${formatCount(durable)}`
}

function keepsCell(prefix: PrefixSummaryJson, nowMs: number): string {
  const { leased, pinned, pinned_until_ms: untilMs } = prefix
  if (leased) return 'in use'
  if (!pinned) return 'until full'
  return untilMs === null ? 'pinned' : `pinned, ${formatDuration(untilMs - nowMs)}`
}

function columns(nowMs: number): Column<PrefixSummaryJson>[] {
  return [
    { title: 'PREFIX', priority: 0, value: (prefix) => prefix.id },
    { title: 'MODEL', priority: 4, maxCells: 32, minCells: 12, value: (prefix) => prefix.model },
    {
      title: 'TOKENS',
      priority: 0,
      align: 'right',
      value: (prefix) => formatCount(prefix.tokens),
    },
    {
      title: 'RESTORES',
      priority: 1,
      align: 'right',
      value: (prefix) => formatCount(prefix.restorable_tokens),
    },
    {
      title: 'SIZE',
      priority: 1,
      align: 'right',
      value: (prefix) => formatSize(prefix.size_bytes),
    },
    {
      title: 'UNIQUE',
      priority: 5,
      align: 'right',
      value: (prefix) => formatSize(prefix.unique_bytes),
    },
    { title: 'TIER', priority: 2, value: tierCell },
    { title: 'HITS', priority: 2, align: 'right', value: (prefix) => formatCount(prefix.hits) },
    {
      title: 'LAST USED',
      priority: 3,
      value: (prefix) => formatAge(nowMs - prefix.last_used_at_ms),
    },
    { title: 'KEEPS', priority: 6, value: (prefix) => keepsCell(prefix, nowMs) },
  ]
}

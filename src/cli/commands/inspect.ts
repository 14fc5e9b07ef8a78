/** `prefixd inspect`: one prefix, its cost, and with `--blocks` where each block lies. */
import type { PrefixBlockJson, PrefixDetailJson } from '../../api/native/schema.ts'
import { formatSize } from '../../config/sizes.ts'
import { type ClientFlags, connect } from '../connection.ts'
import { type CliContext, style, writeJson, writeLines } from '../context.ts'
import { formatCount, formatPlural, threeDigits } from '../render/count.ts'
import { formatAge, formatDuration } from '../render/duration.ts'
import { type Column, tableLines } from '../render/table.ts'
import { pad, printable } from '../render/text.ts'

export interface InspectFlags extends ClientFlags {
  readonly blocks?: boolean
  readonly text?: boolean
}

export async function inspect(this: CliContext, flags: InspectFlags, id: string): Promise<void> {
  const prefix = await (await connect(this, flags)).prefix(id)
  if (flags.json) return writeJson(this.out, prefix)
  const rows = flags.blocks ? prefix.blocks.map(single) : runs(prefix.blocks)
  writeLines(this.out, [
    ...facts(prefix, this.now(), flags.text === true),
    '',
    ...tableLines(columnsFor(prefix), rows, this.out.width, (line) =>
      style(this.out, 'bold', line),
    ),
    '',
    freeing(prefix),
    ...(flags.blocks ? [] : [`Every block: prefixd inspect ${prefix.id} --blocks`]),
  ])
}

function facts(prefix: PrefixDetailJson, nowMs: number, withText: boolean): string[] {
  const blocks = formatPlural(prefix.blocks.length, 'block')
  const created = formatAge(nowMs - prefix.created_at_ms)
  const used = formatAge(nowMs - prefix.last_used_at_ms)
  const pairs: [string, string][] = [
    ['prefix', prefix.id],
    ['model', prefix.model],
    ['length', `${formatPlural(prefix.tokens, 'token')} in ${blocks}`],
    ...restoresTo(prefix),
    [
      'size',
      `${formatSize(prefix.size_bytes)}, ${formatSize(prefix.unique_bytes)} shared with no other`,
    ],
    ['tiers', prefix.tiers.join(' + ')],
    ...restartKeeps(prefix),
    ['created', created],
    ...grewFrom(prefix),
    ['last used', `${used}, ${formatPlural(prefix.hits, 'hit')}`],
    ...keeps(prefix, nowMs),
    ['weight', weight(prefix)],
    ['namespace', prefix.namespace],
    ...(prefix.stored_by === null
      ? []
      : [['stored by', prefix.stored_by] satisfies [string, string]]),
    ...missed(prefix),
    ...(withText ? [textOf(prefix)] : []),
  ]
  return pairs.map(([name, value]) => `${pad(name, 9, 'left')}  ${printable(value)}`)
}

function grewFrom({ grown_from: from }: PrefixDetailJson): [string, string][] {
  return from === null ? [] : [['grew from', from]]
}

/** Untrusted; what a terminal would obey is written out with all the other facts. */
const textOf = ({ label }: PrefixDetailJson): [string, string] => [
  'text',
  label ?? 'not kept: see the setting keep-text',
]

/** A line for each who keeps it. */
function keeps({ id, kept_because: reasons }: PrefixDetailJson, nowMs: number): [string, string][] {
  if (reasons.length === 0) return [['keeps', 'until its room is needed']]
  return reasons.map(({ reason, prefix, until_ms: untilMs }) => {
    const behind = prefix === id ? '' : `, for ${prefix}`
    const rest = untilMs === null ? '' : `, for another ${formatDuration(untilMs - nowMs)}`
    return ['keeps', `${keepers[reason]}${behind}${rest}`]
  })
}

const keepers = {
  request: 'in use now',
  pin: 'pinned',
  lifetime: 'a client wished for a lifetime',
  session: 'in ram: a session waits',
} as const

/** Where nobody keeps it, or no longer. */
function weight({ idle_weight: times, recent_uses: uses }: PrefixDetailJson): string {
  const used = uses === 0 ? '' : `; ${formatPlural(uses, 'request')} used it lately`
  return `may lie idle ${threeDigits(times)} times as long as others${used}`
}

/** Up to where a prompt can go on, if that is not to the end. */
function restoresTo({ tokens, restorable_tokens: restorable }: PrefixDetailJson) {
  if (restorable === tokens) return []
  const words =
    restorable === 0
      ? 'nothing: every window or state to go on from has gone'
      : `${formatPlural(restorable, 'token')}: the last window or state to go on from is there`
  return [['restores', words] satisfies [string, string]]
}

/** What the SSD has without the RAM, if that is not all. */
function restartKeeps({ restorable_tokens: restorable, durable_tokens: kept }: PrefixDetailJson) {
  if (kept === restorable) return []
  const words =
    kept === 0
      ? 'keeps nothing of this: the SSD does not have all that restoring needs'
      : `keeps ${formatPlural(kept, 'token')}: more of it needs what is in RAM only`
  return [['restart', words] satisfies [string, string]]
}

/** A worker of another build finds nothing of it. The build that it was is on the line before. */
function missed({ mismatches }: PrefixDetailJson): [string, string][] {
  return mismatches.map(({ name, stored, served }) => [
    'not found',
    `the worker now has another ${name}: ${served}${name === 'build' ? '' : `, not ${stored}`}`,
  ])
}

/** What goes on behind a prefix goes with it. */
function freeing({ pinned, ...prefix }: PrefixDetailJson): string {
  const { reclaimable_bytes: freedBytes, size_bytes: sizeBytes } = prefix
  if (freedBytes === 0 && sizeBytes > 0) {
    return `Evicting this frees nothing: it is ${pinned ? 'pinned' : 'in use'}.`
  }
  const rest = freedBytes < sizeBytes ? '; the rest is shared, pinned or in use' : ''
  const more = freedBytes > sizeBytes ? ', with what goes on behind it' : ''
  return `Evicting this frees ${formatSize(freedBytes)}${more}${rest}.`
}

/** Consecutive blocks that differ in nothing that a person asks about. */
interface BlockRun {
  readonly first: number
  readonly last: number
  readonly from: number
  readonly to: number
  readonly sizeBytes: number
  readonly tiers: string
  readonly sharedBy: number
  readonly grid: boolean
  readonly kinds: string
  /** Of the last block. */
  readonly hash: string
}

function single(block: PrefixBlockJson, index: number): BlockRun {
  return {
    first: index,
    last: index,
    from: block.from,
    to: block.to,
    sizeBytes: block.size_bytes,
    tiers: block.tiers.join('+'),
    sharedBy: block.shared_by,
    grid: block.grid,
    kinds: block.kinds.join('+') || '-',
    hash: block.hash,
  }
}

function runs(blocks: readonly PrefixBlockJson[]): BlockRun[] {
  const joined: BlockRun[] = []
  for (const [index, block] of blocks.entries()) {
    const next = single(block, index)
    const run = joined.at(-1)
    const alike = (['tiers', 'sharedBy', 'grid', 'kinds'] as const).every(
      (name) => run?.[name] === next[name],
    )
    if (run === undefined || !alike) {
      joined.push(next)
      continue
    }
    const sizeBytes = run.sizeBytes + next.sizeBytes
    joined[joined.length - 1] = { ...next, first: run.first, from: run.from, sizeBytes }
  }
  return joined
}

const blockColumns: readonly Column<BlockRun>[] = [
  {
    title: 'BLOCKS',
    priority: 0,
    value: ({ first, last }) => (first === last ? `${first}` : `${first}–${last}`),
  },
  {
    title: 'TOKENS',
    priority: 0,
    value: ({ from, to }) => `${formatCount(from)}–${formatCount(to)}`,
  },
  { title: 'SIZE', priority: 1, align: 'right', value: (run) => formatSize(run.sizeBytes) },
  { title: 'TIER', priority: 1, value: (run) => run.tiers },
  { title: 'SHARED BY', priority: 2, align: 'right', value: (run) => formatCount(run.sharedBy) },
  { title: 'COMPUTED', priority: 3, value: (run) => (run.grid ? 'on the grid' : 'off the grid') },
  { title: 'LAST HASH', priority: 4, value: (run) => run.hash },
]

/** Where the model can be restored to, if that is not everywhere. */
function columnsFor({ blocks }: PrefixDetailJson): readonly Column<BlockRun>[] {
  if (blocks.every(({ kinds }) => kinds.join() === 'kv')) return blockColumns
  return [...blockColumns, { title: 'KINDS', priority: 3, value: ({ kinds }) => kinds }]
}

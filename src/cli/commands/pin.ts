/** `prefixd pin` and `prefixd unpin`: what is never evicted, and what is again. */
import type { PinJson, PinListJson } from '../../api/native/schema.ts'
import { formatSize } from '../../config/sizes.ts'
import { type ClientFlags, connect } from '../connection.ts'
import { type CliContext, style, writeJson, writeLines } from '../context.ts'
import { usageError } from '../failure.ts'
import { formatCount, formatPlural } from '../render/count.ts'
import { formatDuration } from '../render/duration.ts'
import { pinSurplus } from '../render/pin-surplus.ts'
import { type Column, tableLines } from '../render/table.ts'

export interface PinFlags extends ClientFlags {
  readonly ttl?: number
}

/** Without an id: the list of what is pinned. */
export async function pin(this: CliContext, flags: PinFlags, id?: string): Promise<void> {
  if (id === undefined && flags.ttl !== undefined) {
    throw usageError('--ttl needs the id of a prefix', 'see the ids: prefixd ls')
  }
  const client = await connect(this, flags)
  if (id === undefined) {
    const pins = await client.pins()
    return flags.json ? writeJson(this.out, pins) : list(this, pins)
  }
  const seconds = flags.ttl === undefined ? null : Math.ceil(flags.ttl / 1000)
  const done = await client.pin(id, { ttl_seconds: seconds })
  if (flags.json) return writeJson(this.out, done)
  const until = flags.ttl === undefined ? '' : ` for ${formatDuration(flags.ttl)}`
  writeLines(this.out, [`pinned ${done.id}${until}: ${sizeOf(done)}`])
}

export async function unpin(this: CliContext, flags: ClientFlags, id: string): Promise<void> {
  const done = await (await connect(this, flags)).unpin(id)
  if (flags.json) return writeJson(this.out, done)
  writeLines(this.out, [`unpinned ${done.id}: ${sizeOf(done)}`])
}

function sizeOf({ tokens, size_bytes: sizeBytes }: PinJson): string {
  if (tokens === null || sizeBytes === null) return 'it is not stored now'
  return `${formatPlural(tokens, 'token')}, ${formatSize(sizeBytes)}`
}

function list(context: CliContext, pins: PinListJson): void {
  const { data, tiers } = pins
  const nowMs = context.now()
  const kept = tiers
    .filter(({ kept_bytes: keptBytes, most_bytes: mostBytes }) => keptBytes + mostBytes > 0)
    .map(
      ({ tier, kept_bytes: keptBytes, most_bytes: mostBytes }) =>
        `${formatSize(keptBytes)} of ${formatSize(mostBytes)} on ${tier}`,
    )
  const lines = tableLines(columns(nowMs), data, context.out.width, (line) =>
    style(context.out, 'bold', line),
  )
  writeLines(context.out, [
    ...(data.length === 0 ? ['nothing is pinned'] : [...lines, '']),
    `pins and clients' lifetimes keep ${kept.join(', ')}`,
    ...pinSurplus(pins, context.out),
  ])
}

const states = { kept: 'kept', not_stored: 'not stored', no_room: 'no room' } as const

const columns = (nowMs: number): Column<PinJson>[] => [
  { title: 'PREFIX', priority: 0, value: ({ id }) => id },
  { title: 'MODEL', priority: 3, maxCells: 32, minCells: 12, value: ({ model }) => model ?? '-' },
  {
    title: 'TOKENS',
    priority: 1,
    align: 'right',
    value: ({ tokens }) => (tokens === null ? '-' : formatCount(tokens)),
  },
  {
    title: 'SIZE',
    priority: 1,
    align: 'right',
    value: ({ size_bytes: sizeBytes }) => (sizeBytes === null ? '-' : formatSize(sizeBytes)),
  },
  {
    title: 'ENDS IN',
    priority: 0,
    value: ({ until_ms: untilMs }) =>
      untilMs === null ? 'never' : formatDuration(Math.max(0, untilMs - nowMs)),
  },
  { title: 'STATE', priority: 0, value: ({ state }) => states[state] },
]

/** `prefixd sessions`: what an agent may say of its sessions, said by a person. */
import type { SessionJson, SessionListJson } from '../../api/native/session-schema.ts'
import { formatSize } from '../../config/sizes.ts'
import { type ClientFlags, connect } from '../connection.ts'
import { type CliContext, style, writeJson, writeLines } from '../context.ts'
import { formatCount, formatPlural } from '../render/count.ts'
import { formatAge, formatDuration } from '../render/duration.ts'
import { type Column, tableLines } from '../render/table.ts'
import { printable } from '../render/text.ts'

export async function sessionsLs(this: CliContext, flags: ClientFlags): Promise<void> {
  const sessions = await (await connect(this, flags)).sessions()
  if (flags.json) return writeJson(this.out, sessions)
  if (sessions.data.length === 0) return writeLines(this.out, ['no session is remembered'])
  const bold = (line: string): string => style(this.out, 'bold', line)
  const shown = columnsFor(sessions, this.now())
  writeLines(this.out, tableLines(shown, sessions.data, this.out.width, bold))
}

export interface SessionsPauseFlags extends ClientFlags {
  readonly for?: number
}

export async function sessionsPause(
  this: CliContext,
  { for: forMs, ...flags }: SessionsPauseFlags,
  id: string,
): Promise<void> {
  const request = forMs === undefined ? {} : { eta_seconds: forMs / 1000 }
  const paused = await (await connect(this, flags)).pauseSession(id, request)
  if (flags.json) return writeJson(this.out, paused)
  writeLines(this.out, [`${printable(id)}: ${keptInRam(paused, this.now())}`])
}

export async function sessionsResume(
  this: CliContext,
  flags: ClientFlags,
  id: string,
): Promise<void> {
  const resumed = await (await connect(this, flags, this.interrupted())).resumeSession(id)
  if (flags.json) return writeJson(this.out, resumed)
  const read = `${formatSize(resumed.read_bytes)} read from the ssd`
  writeLines(this.out, [`${printable(id)}: ${read}; ${keptInRam(resumed, this.now())}`])
}

export async function sessionsFork(
  this: CliContext,
  flags: ClientFlags,
  id: string,
  newId: string,
): Promise<void> {
  const forked = await (await connect(this, flags)).forkSession(id, { new_id: newId })
  if (flags.json) return writeJson(this.out, forked)
  const length = lengthOf(forked) ?? 'nothing that is stored now'
  writeLines(this.out, [`${printable(newId)} goes on from ${printable(id)}: ${length}`])
}

export interface SessionsEndFlags extends ClientFlags {
  readonly evict?: boolean
}

export async function sessionsEnd(
  this: CliContext,
  { evict, ...flags }: SessionsEndFlags,
  id: string,
): Promise<void> {
  const ended = await (await connect(this, flags)).endSession(id, { evict: evict === true })
  if (flags.json) return writeJson(this.out, ended)
  const bytes = evict === true ? ended.freed_bytes : ended.own_bytes
  const sizes = `${formatSize(bytes.ram)} of ram and ${formatSize(bytes.ssd)} of ssd`
  const what = evict === true ? `${sizes} are free` : `${sizes} go first when room is needed`
  writeLines(this.out, [`${printable(id)} has ended: ${what}`])
}

const lengthOf = ({ tokens }: SessionJson): string | null =>
  tokens === null ? null : formatPlural(tokens, 'token')

function keptInRam(session: SessionJson, nowMs: number): string {
  const { kept_in_ram_until_ms: untilMs } = session
  const length = lengthOf(session)
  if (length === null) return 'its prefix is not stored any more'
  if (untilMs === null) return `${length}, which find no room to be kept in ram`
  return `${length} stay in ram for ${formatDuration(Math.max(0, untilMs - nowMs))}`
}

/** Names of keys and parents, where there are any. */
function columnsFor({ data }: SessionListJson, nowMs: number): Column<SessionJson>[] {
  const hasTenants = data.some(({ tenant }) => tenant !== null)
  const hasForks = data.some(({ forked_from: parent }) => parent !== null)
  return [
    { title: 'SESSION', priority: 0, maxCells: 40, minCells: 12, value: ({ id }) => id },
    ...(hasTenants ? [tenantColumn] : []),
    { title: 'MODEL', priority: 4, maxCells: 32, minCells: 12, value: ({ model }) => model },
    { title: 'PREFIX', priority: 2, value: ({ prefix }) => prefix ?? '-' },
    {
      title: 'TOKENS',
      priority: 1,
      align: 'right',
      value: ({ tokens }) => (tokens === null ? '-' : formatCount(tokens)),
    },
    { title: 'TIER', priority: 2, value: ({ tiers }) => tiers.join('+') || '-' },
    {
      title: 'LAST USED',
      priority: 1,
      value: ({ last_used_at_ms: usedAtMs }) => formatAge(nowMs - usedAtMs),
    },
    {
      title: 'IN RAM FOR',
      priority: 3,
      value: ({ kept_in_ram_until_ms: untilMs }) =>
        untilMs === null ? '-' : formatDuration(Math.max(0, untilMs - nowMs)),
    },
    ...(hasForks ? [parentColumn] : []),
  ]
}

const tenantColumn: Column<SessionJson> = {
  title: 'TENANT',
  priority: 3,
  maxCells: 24,
  value: ({ tenant }) => tenant ?? '-',
}

const parentColumn: Column<SessionJson> = {
  title: 'FORKED FROM',
  priority: 5,
  maxCells: 40,
  minCells: 12,
  value: ({ forked_from: parent }) => parent ?? '-',
}

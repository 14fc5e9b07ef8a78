/** `prefixd stats`: is it hitting, from where, how full is each tier, what did it save? */
import type { CacheStatsJson } from '../../api/native/stats-schema.ts'
import { limits } from '../../config/limits.ts'
import type { Client } from '../client.ts'
import { type ClientFlags, connect } from '../connection.ts'
import { type CliContext, writeJson, writeLines } from '../context.ts'
import { Interrupted, usageError } from '../failure.ts'
import { rollingHeader, rollingLine } from '../render/stats-line.ts'
import { statsPage } from '../render/stats-page.ts'
import { totalsPage } from '../render/totals-page.ts'

export interface StatsFlags extends ClientFlags {
  readonly watch?: boolean
  readonly interval: number
  readonly since?: number
}

export async function stats(this: CliContext, flags: StatsFlags): Promise<void> {
  if (flags.since !== undefined) return since(this, flags, flags.since)
  if (flags.watch) return watch(this, flags)
  const current = await (await connect(this, flags)).stats()
  if (flags.json) return writeJson(this.out, current)
  writeLines(this.out, statsPage(current, this.out))
}

async function since(context: CliContext, flags: StatsFlags, sinceMs: number): Promise<void> {
  if (flags.watch) {
    throw usageError('--since and --watch exclude each other', 'leave one of them out')
  }
  const report = await (await connect(context, flags)).totals(sinceMs)
  if (flags.json) return writeJson(context.out, report)
  writeLines(context.out, totalsPage(report, context.out))
}

/**
 * Until Ctrl-C: a page redrawn in place on a terminal; otherwise, one line for each interval, and
 * one JSON object on each line with `--json`. A service that restarts is waited for.
 */
async function watch(context: CliContext, flags: StatsFlags): Promise<void> {
  const signal = context.interrupted()
  const client = await connect(context, flags, signal)
  const draw = flags.json ? jsonLine : context.out.isTTY ? redraw : rolling
  const intervalMs = flags.interval * 1000
  let before: Sample | null = null
  let failures = 0
  for (let row = 0; !signal.aborted; row += 1) {
    const sample = await read(client, context, failures)
    if (sample === null) {
      failures += 1
    } else {
      failures = 0
      draw(context, sample, before, row)
      before = sample
    }
    await context.sleep(intervalMs, signal)
  }
  throw new Interrupted()
}

interface Sample {
  readonly atMs: number
  readonly stats: CacheStatsJson
}

/** Null when the service did not answer and may still come back. */
async function read(client: Client, context: CliContext, failures: number): Promise<Sample | null> {
  try {
    return { stats: await client.stats(), atMs: context.now() }
  } catch (error) {
    if (context.interrupted().aborted) throw new Interrupted()
    if (failures + 1 >= limits.watchFailures) throw error
    return null
  }
}

type Draw = (context: CliContext, sample: Sample, before: Sample | null, row: number) => void

const jsonLine: Draw = (context, { stats }) => context.out.write(`${JSON.stringify(stats)}\n`)

const redraw: Draw = (context, { stats }) => {
  // Home, then each line cleared to its end, then what an older, longer page left below.
  const page = statsPage(stats, context.out).map((line) => `${line}\u001b[K\n`)
  context.out.write(`\u001b[H${page.join('')}\u001b[J`)
}

const headerEveryRows = 20

const rolling: Draw = (context, sample, before, row) => {
  const lines = row % headerEveryRows === 0 ? [rollingHeader] : []
  writeLines(context.out, [...lines, rollingLine(sample, before)])
}

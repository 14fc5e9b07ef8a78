/** The page of `prefixd stats --since`: what was served in a span of time, day by day. */
import type { TotalsJson, TotalsReportJson } from '../../api/native/history-schema.ts'
import { formatSize } from '../../config/sizes.ts'
import { style, type Terminal } from '../context.ts'
import { formatCompact, formatCount, formatShare } from './count.ts'
import { formatDuration, formatMoment } from './duration.ts'
import { type Column, tableLines } from './table.ts'
import { pad } from './text.ts'

export function totalsPage(report: TotalsReportJson, terminal: Terminal): string[] {
  const { totals, days, models, from_ms: fromMs, to_ms: toMs } = report
  const bold = (line: string) => style(terminal, 'bold', line)
  const dayTable = tableLines([day, ...figures], days, terminal.width, bold)
  const modelTable = tableLines([model, ...figures], models, terminal.width, bold)
  return [
    `since ${formatMoment(fromMs)} · ${formatDuration(toMs - fromMs)}`,
    '',
    ...facts(totals).map(([name, value]) => `${pad(name, 13, 'left')}  ${value}`),
    ...(days.length > 1 ? ['', ...dayTable] : []),
    ...(models.length > 1 ? ['', ...modelTable] : []),
  ]
}

function facts(totals: TotalsJson): [string, string][] {
  const outcomes = (['hit', 'partial', 'miss', 'bypass', 'failed'] as const)
    .filter((outcome) => totals[outcome] > 0)
    .map((outcome) => `${formatCount(totals[outcome])} ${outcome}`)
  const { ssd_written_bytes: writtenBytes, ssd_read_bytes: readBytes } = totals
  return [
    ['requests', [formatCount(totals.requests), ...outcomes].join(' · ')],
    ['prompt tokens', formatCompact(totals.prompt_tokens)],
    ['  from ram', formatShare(totals.restored_ram_tokens, totals.prompt_tokens)],
    ['  from ssd', formatShare(totals.restored_ssd_tokens, totals.prompt_tokens)],
    ['  computed', formatShare(totals.computed_tokens, totals.prompt_tokens)],
    ['saved prefill', formatDuration(totals.saved_prefill_ms)],
    ['ssd', `${formatSize(writtenBytes)} written · ${formatSize(readBytes)} read`],
  ]
}

const restored = (totals: TotalsJson): number =>
  totals.restored_ram_tokens + totals.restored_ssd_tokens

const day: Column<TotalsJson & { day: string }> = {
  title: 'DAY',
  priority: 0,
  value: (row) => row.day,
}

const model: Column<TotalsJson & { model: string }> = {
  title: 'MODEL',
  priority: 0,
  maxCells: 32,
  minCells: 12,
  value: (row) => row.model,
}

const right = (
  title: string,
  priority: number,
  value: (row: TotalsJson) => string,
): Column<TotalsJson> => ({ title, priority, align: 'right', value })

const figures: readonly Column<TotalsJson>[] = [
  right('REQUESTS', 1, (row) => formatCount(row.requests)),
  right('PROMPT', 3, (row) => formatCompact(row.prompt_tokens)),
  right('RESTORED', 1, (row) => formatCompact(restored(row))),
  right('CACHED', 2, (row) => formatShare(restored(row), row.prompt_tokens)),
  right('SAVED', 1, (row) => formatDuration(row.saved_prefill_ms)),
  right('SSD WRITTEN', 4, (row) => formatSize(row.ssd_written_bytes)),
  right('SSD READ', 5, (row) => formatSize(row.ssd_read_bytes)),
]

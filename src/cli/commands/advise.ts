/** `prefixd advise`: what more room would have served, of what was evicted and then wanted. */
import type { AdviceJson } from '../../api/native/history-schema.ts'
import type { AdviceStepJson } from '../../api/native/stats-schema.ts'
import { formatSize } from '../../config/sizes.ts'
import { type ClientFlags, connect } from '../connection.ts'
import { type CliContext, style, writeJson, writeLines } from '../context.ts'
import { formatCompact, formatCount, formatPlural } from '../render/count.ts'
import { formatDuration } from '../render/duration.ts'
import { type Column, tableLines } from '../render/table.ts'
import { wrap } from '../render/text.ts'

export async function advise(this: CliContext, flags: ClientFlags): Promise<void> {
  const advice = await (await connect(this, flags)).advise()
  if (flags.json) return writeJson(this.out, advice)
  const words = wrap(sentence(advice), this.out.width)
  if (advice.steps.length === 0) return writeLines(this.out, words)
  const bold = (line: string) => style(this.out, 'bold', line)
  const table = tableLines(columns, advice.steps, this.out.width, bold)
  writeLines(this.out, [...table, '', ...words])
}

function sentence({ best, from_ms: fromMs, to_ms: toMs }: AdviceJson): string {
  const span = `within ${formatDuration(toMs - fromMs)}`
  if (best === null) {
    return `Nothing that was evicted was wanted again ${span}: more room would have served no more.`
  }
  const { tier, more_bytes: moreBytes, tokens, requests, prefill_ms: prefillMs } = best
  return (
    `${formatSize(moreBytes)} more ${tier} would have served ${formatCount(tokens)} tokens more ` +
    `${span}, to ${formatPlural(requests, 'request')}; computing them took ` +
    `${formatDuration(prefillMs)}. Raise --${tier} by as much.`
  )
}

const right = (
  title: string,
  priority: number,
  value: (step: AdviceStepJson) => string,
): Column<AdviceStepJson> => ({ title, priority, align: 'right', value })

const columns: readonly Column<AdviceStepJson>[] = [
  { title: 'TIER', priority: 0, value: ({ tier }) => tier },
  right('MORE', 0, (step) => formatSize(step.more_bytes)),
  right('REQUESTS', 2, (step) => formatCount(step.requests)),
  right('TOKENS', 0, (step) => formatCompact(step.tokens)),
  right('PREFILL', 1, (step) => formatDuration(step.prefill_ms)),
]

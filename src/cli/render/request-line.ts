/** The line that `prefixd serve` prints for each request. */
import type { RequestDone } from '../service.ts'
import { formatCount } from './count.ts'
import { formatClock, formatDuration } from './duration.ts'
import { pad, printable } from './text.ts'

/**
 * E.g. `13:41:02  chat   15,500 in (86% ssd)   212 out   ttft 1.66 s   smollm2-135m`. The share is
 * what the engine confirmed as restored.
 */
export function requestLine(done: RequestDone, atMs: number): string {
  const head = `${formatClock(atMs)}  ${pad(printable(done.route), 11, 'left')}`
  const model = printable(done.model)
  if (done.receipt === null)
    return `${head}  failed: ${printable(done.error ?? 'no reason')}   ${model}`
  const { receipt } = done
  const inside = pad(formatCount(receipt.promptTokens), 7, 'right')
  const restored = pad(`(${restoredText(receipt)})`, 10, 'left')
  const outside = pad(formatCount(receipt.generatedTokens), 6, 'right')
  const ttft = receipt.ms.ttft === null ? '-' : formatDuration(receipt.ms.ttft)
  return `${head}${inside} in ${restored}${outside} out   ttft ${pad(ttft, 8, 'left')}  ${model}`
}

function restoredText(receipt: NonNullable<RequestDone['receipt']>): string {
  if (receipt.restoredTokens === 0) return receipt.status
  // Never 100 %: that would claim that nothing was computed, and the last token always is.
  const share = receipt.restoredTokens / Math.max(1, receipt.promptTokens)
  const percent = Math.min(99, Math.round(100 * share))
  return receipt.tier === null ? `${percent}%` : `${percent}% ${receipt.tier}`
}

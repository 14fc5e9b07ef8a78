/** The page of `prefixd why`. Pure. */
import type { RequestJson } from '../../api/native/history-schema.ts'
import { formatCount } from './count.ts'
import { formatDuration, formatMoment } from './duration.ts'
import { pad, printable, wrap } from './text.ts'

type CacheJson = NonNullable<RequestJson['cache']>

const nameCells = 9
const barCells = 58

/** What can be done about each reason; where nothing can, nothing is said. */
const advice: Readonly<Record<string, string>> = {
  never_seen: 'nothing that is stored begins like this prompt; the next one that does will hit',
  evicted: 'prefixd advise says how much more of --ram or --ssd would have kept it',
  diverged:
    'compare this prompt with the one before it at that token: dates, ids and the order of ' +
    'tools are what mostly differs',
  no_boundary:
    'the model can only be restored where a window or a state was saved; a smaller ' +
    '--boundary-tokens saves more of them',
  corrupt: 'stored bytes were damaged and are not used any more; check the disk',
  no_room: 'the RAM tier had no room for what had to be restored; raise --ram',
  restore_not_worth_it: 'computing was faster than reading; a faster disk would change that',
  unsupported_layout: 'this model is served without a cache; see prefixd ps',
  bypass: 'the client asked for it; see the cache controls in docs/api.md',
}

export function whyPage(request: RequestJson, width: number): string[] {
  const { cache } = request
  const head = [
    formatMoment(request.at_ms),
    request.route,
    ...(request.session === null ? [] : [`session ${request.session}`]),
    request.model,
  ]
  return [
    ...fact('request', [request.id, ...head].join(' · '), width),
    ...fact('result', resultOf(request), width),
    ...(cache === null ? [] : cacheLines(request, cache, width)),
  ]
}

function resultOf({ status, error, prompt_tokens: promptTokens, cache }: RequestJson): string {
  if (cache === null) return `failed: ${error ?? 'the client went away'}`
  const share = Math.floor((100 * cache.tokens.restored) / Math.max(1, promptTokens ?? 0))
  const of = `${formatCount(cache.tokens.restored)} of ${formatCount(promptTokens ?? 0)}`
  const words = status === 'partial' ? 'partial hit' : status
  return `${words}, ${of} prompt tokens restored (${share}%)`
}

function cacheLines(request: RequestJson, cache: CacheJson, width: number): string[] {
  const { tokens, ms, miss, tier } = cache
  const restored = tier === null ? [] : [`restored from ${tier} in ${formatDuration(ms.restore)}`]
  const computed = `computed ${formatCount(tokens.computed)} in ${formatDuration(ms.prefill)}`
  const next = miss === null ? undefined : advice[miss.reason]
  return [
    ...fact('tokens', tokenBar(tokens.restored, tokens.computed), width),
    ...fact('', [...restored, computed].join(' · '), width),
    ...(miss === null
      ? []
      : fact('reason', `${miss.reason} at token ${formatCount(miss.at_token)}`, width)),
    ...cache.reasons.flatMap((sentence, at) => fact(at === 0 ? 'details' : '', sentence, width)),
    ...fact('cost', costOf(request, cache), width),
    ...(cache.prefix === null ? [] : fact('prefix', cache.prefix, width)),
    ...(next === undefined ? [] : ['', ...fact('next', next, width)]),
  ]
}

function tokenBar(restored: number, computed: number): string {
  const whole = Math.max(1, restored + computed)
  const filled = Math.min(barCells - 1, Math.round((barCells * restored) / whole))
  return '█'.repeat(filled) + '▒'.repeat(barCells - filled)
}

/** What was measured, and beside it what the plan went by. */
function costOf({ plan }: RequestJson, { ms }: CacheJson): string {
  const first = ms.ttft === null ? 'no token came' : `first token after ${formatDuration(ms.ttft)}`
  const { restore_ms: restoreMs, prefill_ms: prefillMs } = plan ?? {}
  if (restoreMs == null || prefillMs == null || prefillMs === 0) return first
  const expected = `${formatDuration(restoreMs)} against ${formatDuration(prefillMs)} of prefill`
  return `${first}; the plan expected ${expected} for what it restored`
}

function fact(name: string, value: string, width: number): string[] {
  const indent = nameCells + 2
  return wrap(printable(value), width - indent).map(
    (line, at) => `${pad(at === 0 ? name : '', nameCells, 'left')}  ${line}`,
  )
}

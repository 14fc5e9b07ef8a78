/** The demo's figures as a table for people and as JSON for programs. Pure. */
import { turnCount } from './agent-loop.ts'
import type { ChatAnswer } from './chat-client.ts'
import type { Claim } from './demo-claims.ts'
import type { Story } from './demo-story.ts'
import { median } from './median.ts'
import type { PeerAnswer } from './mlx-server.ts'
import type { Peer } from './peer.ts'
import { formatCount, formatMs, formatRatio, renderTable } from './table.ts'
import { type WarmSample, warmOverLive } from './warm.ts'

interface Row {
  readonly step: string
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly computedTokens: number
  readonly tier: string | null
  readonly ttftMs: number
  readonly ofCold: number
}

export function demoRows(story: Story): Row[] {
  const coldMs = (story.turns[0] as ChatAnswer).ttftMs
  const row = (step: string, answer: ChatAnswer, ttftMs = answer.ttftMs): Row => ({
    step,
    promptTokens: answer.promptTokens,
    cachedTokens: answer.cachedTokens,
    computedTokens: answer.computedTokens,
    tier: answer.tier,
    ttftMs,
    ofCold: ttftMs / coldMs,
  })
  const medianRow = (step: string, samples: readonly WarmSample[]): Row =>
    row(step, firstOf(samples), median(samples.map(({ answer }) => answer.ttftMs)))
  const { afterRestart, fromRam, fromSsd } = story.warm
  const all = [...afterRestart, ...fromRam, ...fromSsd]
  const live = row('live in its own sequence', firstOf(all), median(all.map((it) => it.liveMs)))
  return [
    ...story.turns.map((answer, at) => row(at === 0 ? 'turn 1, cold' : `turn ${at + 1}`, answer)),
    row(`turn ${turnCount} again, after kill -9`, story.lastTurnAgain),
    row('new session, same system prompt', story.newSession),
    medianRow(`question, from RAM (median of ${fromRam.length})`, fromRam),
    medianRow(`question, from the SSD (median of ${fromSsd.length})`, fromSsd),
    medianRow(`question, first after restart (${afterRestart.length})`, afterRestart),
    { ...live, tier: 'live' },
    ...(story.peer === null ? [] : peerRows(story.peer, coldMs)),
  ]
}

function peerRows({ name, cold, warm, restarted }: Peer, coldMs: number): Row[] {
  const row = (step: string, { promptTokens, cachedTokens, ttftMs }: PeerAnswer): Row => ({
    step: `${name}, ${step}`,
    promptTokens,
    cachedTokens,
    computedTokens: promptTokens - cachedTokens,
    tier: null,
    ttftMs,
    ofCold: ttftMs / coldMs,
  })
  return [row('cold', cold), row('its own warm', warm), row('after a restart', restarted)]
}

const firstOf = (samples: readonly WarmSample[]): ChatAnswer => {
  const [first] = samples
  if (first === undefined) throw new RangeError('no samples were measured')
  return first.answer
}

export function demoLines(story: Story, claims: readonly Claim[]): string[] {
  const head = ['step', 'prompt', 'cached', 'computed', 'tier', 'TTFT', '÷ cold']
  const rows = demoRows(story).map((row) => [
    row.step,
    formatCount(row.promptTokens),
    formatCount(row.cachedTokens),
    formatCount(row.computedTokens),
    row.tier ?? '–',
    formatMs(row.ttftMs),
    formatRatio(row.ofCold),
  ])
  return [
    ...renderTable(head, rows),
    '',
    'Cached and computed are what the engine confirmed. "live": the same engine in a worker of',
    'its own, called directly, the prefix standing in its sequence already (filled once from the',
    'stored records, then only trimmed): no HTTP, no cache, no restore. Measured in turn with the',
    'others.',
    ...(story.peer === null ? [] : besidesLines),
    '',
    ...claims.map(claimLine),
  ]
}

const besidesLines = [
  'mlx_lm.server: the same version, Python, BLAS and threads, the same weights in float32; its',
  'prompts are the last two above it, and what it has cached is what it says of itself.',
]

export const claimLine = ({ verdict, claim, found }: Claim): string =>
  `${labelOf[verdict]}  ${claim} (${found})`

const labelOf = { pass: 'PASS', over: 'OVER', fail: 'FAIL', said: 'NOTE' } as const

export function demoJson(story: Story, claims: readonly Claim[]) {
  return {
    steps: demoRows(story),
    ratios: {
      ram_over_live: warmOverLive(story.warm.fromRam),
      ssd_over_live: warmOverLive(story.warm.fromSsd),
      after_restart_over_live: warmOverLive(story.warm.afterRestart),
    },
    claims,
  }
}

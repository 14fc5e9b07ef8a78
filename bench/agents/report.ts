/** The agents' figures as a table for people and as JSON for programs. Pure. */
import type { Claim } from '../demo-claims.ts'
import { claimLine } from '../demo-report.ts'
import { formatCount, formatMs, renderTable } from '../table.ts'
import { percent, shareOfFirstSession, shareOfPrevious } from './claims.ts'
import type { Exchange } from './exchange.ts'
import type { AgentRun, TurnRun } from './play.ts'

const head = [
  'agent',
  'request',
  'prompt',
  'cached',
  'computed',
  'tier',
  'TTFT',
  'of previous',
  'of 1st session',
]

export function agentLines(runs: readonly AgentRun[], claims: readonly Claim[]): string[] {
  const rows = runs.flatMap((run) =>
    run.turns.flatMap((turn) => turn.exchanges.map((exchange) => rowOf(run, turn, exchange))),
  )
  return [
    ...renderTable(head, rows),
    '',
    'Prompt and cached are of the `usage` that the agent read, computed is what the engine',
    'confirmed. "of previous": the part of the prompt before it that was cached. "of 1st session":',
    'the part of the prompt that was cached when a second session began.',
    '',
    ...claims.map(claimLine),
  ]
}

function rowOf(run: AgentRun, turn: TurnRun, exchange: Exchange): string[] {
  const what = exchange.isMain ? '' : ', aside'
  const shown = (share: number | null): string => (share === null ? '–' : percent(share))
  return [
    run.agent.title,
    `session ${turn.session}, turn ${turn.turn}${what}`,
    formatCount(exchange.promptTokens),
    formatCount(exchange.cachedTokens),
    formatCount(exchange.computedTokens),
    exchange.tier ?? '–',
    exchange.ttftMs === null ? '–' : formatMs(exchange.ttftMs),
    shown(shareOfPrevious(run, exchange)),
    shown(shareOfFirstSession(run, exchange)),
  ]
}

export const agentsJson = (runs: readonly AgentRun[], claims: readonly Claim[]) => ({
  agents: runs,
  claims,
})

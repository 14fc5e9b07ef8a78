/** What must be true of agents, each claim with what was found. Pure. */
import type { Claim } from '../demo-claims.ts'
import type { Exchange } from './exchange.ts'
import type { AgentRun, TurnRun } from './play.ts'

/** Of the prompt before, and of the first session: what is promised. */
export const promised = { ofPrevious: 0.95, ofFirstSession: 0.75 } as const

export function judgeAgent(run: AgentRun): Claim[] {
  const { title } = run.agent
  return [
    ...answered(run),
    ...run.turns.flatMap((turn) => ended(title, turn)),
    goesOn(run),
    shares(run),
    addsUp(run),
    agrees(run),
  ]
}

export const mainOf = (turn: TurnRun): Exchange[] => turn.exchanges.filter(({ isMain }) => isMain)

/** The conversation's requests of one session, in order. */
const sessionOf = (run: AgentRun, session: 1 | 2): Exchange[] =>
  run.turns.filter((turn) => turn.session === session).flatMap(mainOf)

/** The cached part of the prompt before it; null for the first request of a session. */
export function shareOfPrevious(run: AgentRun, exchange: Exchange): number | null {
  for (const session of [1, 2] as const) {
    const exchanges = sessionOf(run, session)
    const before = exchanges[exchanges.indexOf(exchange) - 1]
    if (before !== undefined) return Math.min(1, exchange.cachedTokens / before.promptTokens)
  }
  return null
}

/** The part of the second session's first prompt that was cached; null for other requests. */
export function shareOfFirstSession(run: AgentRun, exchange: Exchange): number | null {
  if (sessionOf(run, 2)[0] !== exchange) return null
  return exchange.cachedTokens / exchange.promptTokens
}

const isTrue = (claim: string, truth: boolean, found: string): Claim => ({
  verdict: truth ? 'pass' : 'fail',
  claim,
  found,
})

const isGood = ({ status, isWhole }: Exchange): boolean => status === 200 && isWhole

/** What an agent asks aside may be left: opencode ends when it has its answer, not its title. */
function answered({ agent, turns }: AgentRun): Claim[] {
  const all = turns.flatMap(({ exchanges }) => exchanges)
  const left = all.filter(({ isMain, isWhole }) => !isMain && !isWhole)
  const asked = all.filter((exchange) => !left.includes(exchange))
  const good = asked.filter(isGood)
  const isComplete = turns.every((turn) => mainOf(turn).length > 0)
  const claim = isTrue(
    `${agent.title}: every turn asks, and every request is answered to its end`,
    isComplete && good.length === asked.length,
    `${good.length} of ${asked.length} requests in ${turns.length} turns`,
  )
  if (left.length === 0) return [claim]
  const leaving = `${agent.title}: it waits for what it asks aside, such as titles`
  return [claim, { verdict: 'said', claim: leaving, found: `it left ${left.length}` }]
}

/** A model that does not come to an end makes an agent complain; that is the model's. */
function ended(title: string, turn: TurnRun): Claim[] {
  if (turn.exitCode === 0) return []
  const isCut = mainOf(turn).at(-1)?.isCut === true
  const words = turn.lastWords.split('\n').at(-1)?.slice(-200) ?? ''
  const found = isCut ? 'the model was cut at its limit of tokens' : words
  const claim = `${title}: session ${turn.session}, turn ${turn.turn} ends with exit code 0`
  return [{ verdict: isCut ? 'said' : 'fail', claim, found: `${turn.exitCode}: ${found}` }]
}

function goesOn(run: AgentRun): Claim {
  const shares = ([1, 2] as const)
    .flatMap((session) => sessionOf(run, session))
    .map((exchange) => shareOfPrevious(run, exchange))
    .filter((share) => share !== null)
  const second = run.turns.find(({ session, turn }) => session === 1 && turn === 2)
  const hasSecond = second !== undefined && mainOf(second).length > 0
  const least = Math.min(...shares)
  return isTrue(
    `${run.agent.title}: whatever goes on finds at least ${percent(promised.ofPrevious)} of the ` +
      'prompt before in the cache',
    hasSecond && least >= promised.ofPrevious,
    shares.length === 0 ? 'nothing went on' : `${percent(least)} in the worst of ${shares.length}`,
  )
}

/** Promised of Claude Code, whose prompts begin with a line of their own each session. */
function shares(run: AgentRun): Claim {
  const first = sessionOf(run, 2)[0]
  const share = first === undefined ? null : shareOfFirstSession(run, first)
  const isKept = share !== null && share >= promised.ofFirstSession
  const isPromised = run.agent.id === 'claude'
  return {
    verdict: isKept ? 'pass' : isPromised || share === null ? 'fail' : 'said',
    claim:
      `${run.agent.title}: a second session shares at least ` +
      `${percent(promised.ofFirstSession)} of its prompt with the first one`,
    found: share === null ? 'there was none' : percent(share),
  }
}

function addsUp({ agent, turns }: AgentRun): Claim {
  const all = turns.flatMap(({ exchanges }) => exchanges).filter(isGood)
  const right = all.filter(
    ({ promptTokens, cachedTokens, computedTokens }) =>
      computedTokens >= 1 && cachedTokens + computedTokens === promptTokens,
  )
  return isTrue(
    `${agent.title}: usage is what the engine confirmed: cached + computed = prompt`,
    all.length > 0 && right.length === all.length,
    `${right.length} of ${all.length} requests`,
  )
}

/** What the agent shows its user must be what the service reported. */
function agrees(run: AgentRun): Claim {
  const claim = `${run.agent.title}: it shows the cached tokens that the service reported`
  const shown = run.turns.flatMap((turn) => {
    const reported = reportedUntil(run, turn)
    const own = turn.ownCachedTokens
    return own === null || reported === null ? [] : [{ own, reported }]
  })
  const wrong = shown.filter(({ own, reported }) => own !== reported)
  if (shown.length === 0) return { verdict: 'said', claim, found: 'it showed none' }
  const [first] = wrong
  const difference = first === undefined ? '' : `; ${first.own} shown for ${first.reported}`
  return isTrue(
    claim,
    wrong.length === 0,
    `${shown.length - wrong.length} of ${shown.length} turns${difference}`,
  )
}

/** Null: an agent that counts its session does not count a turn that it takes for failed. */
function reportedUntil({ agent, turns }: AgentRun, turn: TurnRun): number | null {
  if (agent.counts === 'turn') return cachedIn(turn)
  const until = turns.filter((each) => each.session === turn.session && each.turn <= turn.turn)
  if (until.some(({ exitCode }) => exitCode !== 0)) return null
  return until.reduce((sum, each) => sum + cachedIn(each), 0)
}

const cachedIn = (turn: TurnRun): number =>
  mainOf(turn).reduce((sum, { cachedTokens }) => sum + cachedTokens, 0)

export const percent = (share: number): string => `${(100 * share).toFixed(1).replace('.0', '')} %`

/** What must be true of a demo, each claim with what was found. Pure. */
import type { ChatAnswer } from './chat-client.ts'
import type { Story } from './demo-story.ts'
import { median } from './median.ts'
import type { Peer } from './peer.ts'
import { formatMs, formatRatio } from './table.ts'
import { type WarmSample, type WarmSamples, warmOverLive } from './warm.ts'

export interface ClaimContext {
  readonly reuse: 'token' | 'block'
  readonly blockTokens: number
  /** Null for an engine that computes nothing worth timing. */
  readonly promises: Promises | null
}

/** Warm ÷ live, at most. */
export type Promises = Readonly<Record<keyof WarmSamples, number>>

/**
 * `over`: the promise is not kept, on a machine that may be busy; it is shown and is no failure.
 * `said`: worth knowing, and promised to nobody.
 */
export type Verdict = 'pass' | 'over' | 'fail' | 'said'

export interface Claim {
  readonly verdict: Verdict
  readonly claim: string
  readonly found: string
}

/** What is promised of each engine. */
export const promised = {
  llamacpp: { fromRam: 1.1, afterRestart: 1.3, fromSsd: 1.3 },
  mlx: { fromRam: 1.2, afterRestart: 1.2, fromSsd: 1.3 },
} as const

/** Warm ÷ live that no busy machine explains any more. */
const never = 1.5

export function judge(story: Story, context: ClaimContext): Claim[] {
  const { turns, lastTurnAgain, warm } = story
  const { promises } = context
  const first = turns[0] as ChatAnswer
  const last = turns.at(-1) as ChatAnswer
  return [
    isTrue('nothing is cached at first', first.cachedTokens === 0, `${first.cachedTokens} cached`),
    ...turns.slice(1).map((turn, at) => continues(turn, turns[at] as ChatAnswer, at + 2, context)),
    addsUp([...turns, lastTurnAgain, story.newSession]),
    survives(lastTurnAgain, last, context),
    sameAnswer(lastTurnAgain, last, context),
    sharesPrefix(story, context),
    findsAll(warm),
    comesFrom('ram', 'repeated requests', warm.fromRam),
    comesFrom('ssd', 'requests behind an emptied RAM tier', warm.fromSsd),
    ...(promises === null
      ? []
      : [
          keepsUp('from RAM', promises.fromRam, warm.fromRam),
          keepsUp('first after a restart', promises.afterRestart, warm.afterRestart),
          keepsUp('from the SSD', promises.fromSsd, warm.fromSsd),
        ]),
    ...(promises === null || story.peer === null ? [] : [beatsRestart(story, story.peer)]),
  ]
}

export const isFailed = (claims: readonly Claim[]): boolean =>
  claims.some(({ verdict }) => verdict === 'fail')

const isTrue = (claim: string, truth: boolean, found: string): Claim => ({
  verdict: truth ? 'pass' : 'fail',
  claim,
  found,
})

/** Of tokens that are stored, those that may be restored: the last token is always computed. */
function reusable(storedTokens: number, { reuse, blockTokens }: ClaimContext): number {
  return reuse === 'token' ? storedTokens : storedTokens - (storedTokens % blockTokens)
}

function continues(
  turn: ChatAnswer,
  before: ChatAnswer,
  number: number,
  context: ClaimContext,
): Claim {
  const least = reusable(before.promptTokens, context) - (context.reuse === 'token' ? 1 : 0)
  return isTrue(
    `turn ${number} continues turn ${number - 1}: at least ${least} tokens cached`,
    turn.cachedTokens >= least && turn.cachedTokens < turn.promptTokens,
    `${turn.cachedTokens} of ${turn.promptTokens}`,
  )
}

function addsUp(answers: readonly ChatAnswer[]): Claim {
  const wrong = answers.filter(
    ({ cachedTokens, computedTokens, promptTokens }) =>
      cachedTokens + computedTokens !== promptTokens || computedTokens < 1,
  )
  return isTrue(
    "the engine's own figures add up: cached + computed = prompt",
    wrong.length === 0,
    `${answers.length - wrong.length} of ${answers.length} answers`,
  )
}

function survives(again: ChatAnswer, before: ChatAnswer, context: ClaimContext): Claim {
  const least = reusable(before.promptTokens - 1, context)
  return isTrue(
    `kill -9 loses nothing: at least ${least} tokens cached`,
    again.cachedTokens >= least && again.tier !== null,
    `${again.cachedTokens} from ${again.tier ?? 'nowhere'}`,
  )
}

function sameAnswer(again: ChatAnswer, before: ChatAnswer, { reuse }: ClaimContext): Claim {
  const isSame = again.text === before.text
  const claim = 'the greedy answer is the same before and after the restart'
  if (isSame || reuse === 'block') return isTrue(claim, isSame, isSame ? 'identical' : 'different')
  // Fewer tokens in one call go through other kernels; two cold runs differ in the same way.
  const found = 'different, as with other call sizes; --reuse block makes it the same'
  return { verdict: 'said', claim, found }
}

function sharesPrefix({ newSession, sharedTokens }: Story, context: ClaimContext): Claim {
  const least = reusable(sharedTokens, context) - (context.reuse === 'token' ? 1 : 0)
  return isTrue(
    `a new session finds the system prompt: at least ${least} tokens cached`,
    newSession.cachedTokens >= least,
    `${newSession.cachedTokens} of ${newSession.promptTokens}`,
  )
}

/** What was read ahead is in RAM, the rest on the SSD; that all of it is found is what counts. */
function findsAll({ afterRestart, fromRam }: WarmSamples): Claim {
  const most = Math.max(...fromRam.map(({ answer }) => answer.cachedTokens))
  const count = afterRestart.filter(({ answer }) => answer.cachedTokens === most).length
  return isTrue(
    `first requests after a restart find all ${most} tokens`,
    count === afterRestart.length,
    `${count} of ${afterRestart.length}`,
  )
}

function comesFrom(tier: 'ram' | 'ssd', what: string, samples: readonly WarmSample[]): Claim {
  const count = samples.filter(({ answer }) => answer.tier === tier).length
  return isTrue(
    `${what} are restored from ${tier.toUpperCase()}`,
    count === samples.length,
    `${count} of ${samples.length}`,
  )
}

function keepsUp(what: string, promise: number, samples: readonly WarmSample[]): Claim {
  const ratio = warmOverLive(samples)
  return {
    verdict: ratio <= promise ? 'pass' : ratio <= never ? 'over' : 'fail',
    claim: `${what}: at most ${promise} × a prefix that is live in its sequence`,
    found: formatRatio(ratio),
  }
}

function beatsRestart({ warm }: Story, { name, restarted }: Peer): Claim {
  const oursMs = median(warm.afterRestart.map(({ answer }) => answer.ttftMs))
  return isTrue(
    `after a restart the first answer comes sooner than from ${name}`,
    oursMs < restarted.ttftMs,
    `${formatMs(oursMs)} and ${formatMs(restarted.ttftMs)}`,
  )
}

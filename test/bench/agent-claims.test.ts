import { describe, expect, it } from 'vitest'
import { judgeAgent } from '../../bench/agents/claims.ts'
import { type Exchange, readExchange } from '../../bench/agents/exchange.ts'
import type { AgentRun, TurnRun } from '../../bench/agents/play.ts'
import { agentLines } from '../../bench/agents/report.ts'

const exchangeOf = (promptTokens: number, cachedTokens: number, more: Partial<Exchange> = {}) => ({
  status: 200,
  isWhole: true,
  isMain: true,
  promptTokens,
  cachedTokens,
  computedTokens: promptTokens - cachedTokens,
  tier: cachedTokens === 0 ? null : ('ram' as const),
  ttftMs: 1500,
  isCut: false,
  ...more,
})

const title = exchangeOf(300, 0, { isMain: false })

function runOf(
  [first, second, other]: readonly (readonly Exchange[])[],
  more: readonly Partial<TurnRun>[] = [],
): AgentRun {
  const turn = (session: 1 | 2, number: 1 | 2, exchanges: readonly Exchange[] = []): TurnRun => ({
    session,
    turn: number,
    exchanges,
    exitCode: 0,
    ownCachedTokens: exchanges
      .filter(({ isMain }) => isMain)
      .reduce((sum, { cachedTokens }) => sum + cachedTokens, 0),
    lastWords: '',
  })
  const turns = [turn(1, 1, first), turn(1, 2, second), turn(2, 1, other)]
  return {
    agent: { id: 'claude', title: 'Claude Code', version: '1.2.3', counts: 'turn' },
    turns: turns.map((each, at) => ({ ...each, ...more[at] })),
  }
}

const good = [
  [title, exchangeOf(10_000, 0)],
  [exchangeOf(10_100, 9_990), exchangeOf(10_300, 10_100)],
  [exchangeOf(9_900, 7_990)],
] as const

/** Claims that are not kept, in a few words. */
const broken = (run: AgentRun): string[] =>
  judgeAgent(run)
    .filter(({ verdict }) => verdict !== 'pass')
    .map(({ verdict, claim, found }) => `${verdict}: ${claim} (${found})`)

describe('what is claimed of an agent', () => {
  it('is true of one that goes on and shares its prompt', () => {
    expect(broken(runOf(good))).toEqual([])
  })

  it.each([
    ['goes on with less than 95 %', [good[0], [exchangeOf(10_100, 9_499)], good[2]], 'goes on'],
    ['asks nothing in its second turn', [good[0], [title], good[2]], 'every turn asks'],
    ['shares less than 75 %', [good[0], good[1], [exchangeOf(10_000, 7_499)]], 'second session'],
    [
      'leaves in the middle',
      [[exchangeOf(10_000, 0, { isWhole: false })], good[1], good[2]],
      'every request is answered',
    ],
    [
      'is refused',
      [good[0], good[1], [...good[2], exchangeOf(0, 0, { status: 400 })]],
      'every request is answered',
    ],
    [
      'is told another figure than the engine confirmed',
      [good[0], [exchangeOf(10_100, 9_990, { computedTokens: 111 })], good[2]],
      'cached + computed = prompt',
    ],
  ])('is false of one that %s', (_, exchanges, words) => {
    const found = broken(runOf(exchanges as readonly (readonly Exchange[])[]))
    expect(found).toContainEqual(expect.stringMatching(/^fail: /))
    expect(found.join('\n')).toContain(words)
  })

  it('lets an agent leave what it asked aside, but not be refused it', () => {
    const aside = { isMain: false, isWhole: false }
    const left = [good[0], [exchangeOf(0, 0, { ...aside, status: 0 }), ...good[1]], good[2]]
    expect(broken(runOf(left))).toEqual([expect.stringMatching(/^said: .*it left 1/)])
    const refused = [
      good[0],
      good[1],
      [...good[2], exchangeOf(0, 0, { isMain: false, status: 400 })],
    ]
    expect(broken(runOf(refused))).toEqual([expect.stringMatching(/^fail: .*is answered/)])
  })

  it('holds an agent to what it shows its user', () => {
    const found = broken(runOf(good, [{}, { ownCachedTokens: 1 }]))
    expect(found).toEqual([expect.stringContaining('2 of 3 turns; 1 shown for 20090')])
    const silent = { ownCachedTokens: null }
    expect(broken(runOf(good, [silent, silent, silent]))).toEqual([
      expect.stringMatching(/^said: .*it showed none/),
    ])
  })

  it('knows an agent that counts all turns of a session', () => {
    const counting = (own: number): AgentRun => {
      const warm = [[exchangeOf(10_000, 5)], good[1], good[2]]
      const run = runOf(warm, [{}, { ownCachedTokens: own }])
      return { ...run, agent: { ...run.agent, counts: 'session' } }
    }
    expect(broken(counting(20_095))).toEqual([])
    expect(broken(counting(20_090))).toEqual([
      expect.stringContaining('2 of 3 turns; 20090 shown for 20095'),
    ])
  })

  it('takes a failed turn for the agent’s, unless its model was cut', () => {
    const failed = { exitCode: 1, lastWords: 'thinking\nno such model' }
    expect(broken(runOf(good, [failed]))).toEqual([
      'fail: Claude Code: session 1, turn 1 ends with exit code 0 (1: no such model)',
    ])
    const cut = [good[0], good[1], [exchangeOf(9_900, 7_990, { isCut: true })]]
    expect(broken(runOf(cut, [{}, {}, failed]))).toEqual([
      expect.stringMatching(/^said: .*session 2, turn 1.*cut at its limit/),
    ])
  })
})

it('the table shows each request, with the shares that the claims are about', () => {
  const run = runOf(good)
  const lines = agentLines([run], judgeAgent(run))
  expect(lines.slice(0, 6).map((line) => line.replaceAll(/ {2,}/g, ' | '))).toEqual([
    'agent | request | prompt | cached | computed | tier | TTFT | of previous | of 1st session',
    'Claude Code | session 1, turn 1, aside | 300 | 0 | 300 | – | 1.50 s | – | –',
    'Claude Code | session 1, turn 1 | 10,000 | 0 | 10,000 | – | 1.50 s | – | –',
    'Claude Code | session 1, turn 2 | 10,100 | 9,990 | 110 | ram | 1.50 s | 99.9 % | –',
    'Claude Code | session 1, turn 2 | 10,300 | 10,100 | 200 | ram | 1.50 s | 100 % | –',
    'Claude Code | session 2, turn 1 | 9,900 | 7,990 | 1,910 | ram | 1.50 s | – | 80.7 %',
  ])
  expect(lines.filter((line) => line.startsWith('PASS'))).toHaveLength(5)
})

describe('a recorded request', () => {
  const recording = { path: '/v1/messages?beta=true', requestBody: '{"tools":[{}]}', status: 200 }

  it('that asks for no answer is none', () => {
    const counting = { ...recording, path: '/v1/messages/count_tokens?beta=true' }
    expect(readExchange({ ...counting, replyBody: '{"input_tokens":3}', isWhole: true })).toBeNull()
  })

  it('whose reply was left says nothing of tokens', () => {
    const replyBody = 'event: ping\ndata: {"type":"ping"}\n\ndata: {"type":"mess'
    expect(readExchange({ ...recording, replyBody, isWhole: false })).toMatchObject({
      isWhole: false,
      isMain: true,
      promptTokens: 0,
      ttftMs: null,
    })
  })
})

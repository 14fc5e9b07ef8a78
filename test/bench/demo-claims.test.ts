import { describe, expect, it } from 'vitest'
import type { ChatAnswer } from '../../bench/chat-client.ts'
import {
  type ClaimContext,
  isFailed,
  judge,
  promised,
  type Verdict,
} from '../../bench/demo-claims.ts'
import type { Story } from '../../bench/demo-story.ts'

const answer = (promptTokens: number, cachedTokens: number, more: Partial<ChatAnswer> = {}) => ({
  text: 'yes',
  promptTokens,
  cachedTokens,
  computedTokens: promptTokens - cachedTokens,
  savedTokens: 0,
  generatedTokens: 1,
  tier: 'ram' as const,
  ttftMs: 100,
  decodeMs: 0,
  answerMs: 100,
  ...more,
})
const sample = (tier: 'ram' | 'ssd', ttftMs: number) => ({
  answer: answer(1010, 1000, { tier, ttftMs }),
  liveMs: 100,
})

const good: Story = {
  turns: [answer(1000, 0), answer(1100, 1010), answer(1200, 1110)],
  lastTurnAgain: answer(1200, 1199, { tier: 'ssd' }),
  newSession: answer(1020, 1000),
  sharedTokens: 1001,
  warm: {
    afterRestart: [sample('ram', 115), sample('ssd', 120)],
    fromRam: [sample('ram', 105), sample('ram', 105)],
    fromSsd: [sample('ssd', 120)],
  },
  peer: null,
}
const warm = (changes: Partial<Story['warm']>): Story => ({
  ...good,
  warm: { ...good.warm, ...changes },
})
const context: ClaimContext = { reuse: 'token', blockTokens: 256, promises: promised.llamacpp }

const verdictOf = (story: Story, claim: RegExp, changes: Partial<ClaimContext> = {}): Verdict => {
  const found = judge(story, { ...context, ...changes }).filter((it) => claim.test(it.claim))
  expect(found).toHaveLength(1)
  return found[0]?.verdict as Verdict
}

describe('the demo', () => {
  it('passes when everything that it claims is true', () => {
    const claims = judge(good, context)
    expect(claims.map(({ verdict }) => verdict)).toEqual(claims.map(() => 'pass'))
    expect(isFailed(claims)).toBe(false)
  })

  it('fails when a first turn finds something', () => {
    const story = { ...good, turns: [answer(1000, 1), ...good.turns.slice(1)] }
    expect(verdictOf(story, /nothing is cached/)).toBe('fail')
  })

  it('fails when a turn does not find all of the one before', () => {
    const story = (cached: number) => ({
      ...good,
      turns: [answer(1000, 0), answer(1100, cached), answer(1200, 1110)],
    })
    expect(verdictOf(story(999), /turn 2 continues/)).toBe('pass')
    expect(verdictOf(story(998), /turn 2 continues/)).toBe('fail')
    expect(verdictOf(story(1100), /turn 2 continues/)).toBe('fail')
  })

  it('asks for whole blocks only where reuse is by blocks', () => {
    const story = (cached: number) => ({
      ...good,
      turns: [answer(1000, 0), answer(1100, cached), answer(1200, 1024)],
    })
    expect(verdictOf(story(768), /turn 2 continues/, { reuse: 'block' })).toBe('pass')
    expect(verdictOf(story(767), /turn 2 continues/, { reuse: 'block' })).toBe('fail')
  })

  it('fails when figures do not add up', () => {
    const story = { ...good, newSession: answer(1020, 1000, { computedTokens: 19 }) }
    expect(verdictOf(story, /add up/)).toBe('fail')
  })

  it('fails when kill -9 loses a token', () => {
    const restarted = (more: Partial<ChatAnswer>) => ({
      ...good,
      lastTurnAgain: answer(1200, 1199, { tier: 'ssd', ...more }),
    })
    expect(verdictOf(restarted({ cachedTokens: 1198 }), /kill -9/)).toBe('fail')
    expect(verdictOf(restarted({ tier: null }), /kill -9/)).toBe('fail')
  })

  it('fails for another greedy answer with reuse by blocks, and reports it otherwise', () => {
    const story = { ...good, lastTurnAgain: answer(1200, 1199, { tier: 'ssd', text: 'no' }) }
    expect(verdictOf(story, /greedy/, { reuse: 'block' })).toBe('fail')
    expect(verdictOf(story, /greedy/)).toBe('said')
    expect(isFailed(judge(story, context))).toBe(false)
  })

  it('fails when a new session does not find the shared beginning', () => {
    const story = { ...good, newSession: answer(1020, 999) }
    expect(verdictOf(story, /new session/)).toBe('fail')
  })

  it('fails when warm requests are not restored from the tier that is measured', () => {
    const ram = warm({ fromRam: [sample('ssd', 105), sample('ram', 105)] })
    expect(verdictOf(ram, /repeated requests/)).toBe('fail')
    const ssd = warm({ fromSsd: [sample('ram', 105), sample('ssd', 105)] })
    expect(verdictOf(ssd, /emptied RAM/)).toBe('fail')
  })

  it('fails when a first request after a restart does not find all that others find', () => {
    const less = { answer: answer(1010, 999, { tier: 'ssd' }), liveMs: 100 }
    const story = warm({ afterRestart: [sample('ram', 105), less] })
    expect(verdictOf(story, /after a restart find all 1000/)).toBe('fail')
  })

  it('shows a broken promise of speed, and fails only where no busy machine explains it', () => {
    const ram = (ttftMs: number) => warm({ fromRam: [sample('ram', ttftMs)] })
    expect(verdictOf(ram(110), /from RAM: /)).toBe('pass')
    expect(verdictOf(ram(112), /from RAM: /)).toBe('over')
    expect(verdictOf(ram(151), /from RAM: /)).toBe('fail')
    const ssd = (ttftMs: number) => warm({ fromSsd: [sample('ssd', ttftMs)] })
    expect(verdictOf(ssd(130), /from the SSD: /)).toBe('pass')
    expect(verdictOf(ssd(131), /from the SSD: /)).toBe('over')
  })

  it('promises of each engine what that engine can keep', () => {
    const story = warm({ afterRestart: [sample('ram', 125)] })
    expect(verdictOf(story, /first after a restart: /)).toBe('pass')
    expect(verdictOf(story, /first after a restart: /, { promises: promised.mlx })).toBe('over')
  })

  it('fails when another server of the same engine is sooner back after a restart', () => {
    const peer = (restartedMs: number) => {
      const measured = (ttftMs: number) => ({ promptTokens: 1010, cachedTokens: 0, ttftMs })
      const answers = { cold: measured(900), warm: measured(100), restarted: measured(restartedMs) }
      return { ...good, peer: { name: 'another', ...answers } }
    }
    expect(verdictOf(peer(118), /sooner than from another/)).toBe('pass')
    expect(verdictOf(peer(117), /sooner than from another/)).toBe('fail')
  })
})

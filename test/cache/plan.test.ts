import { describe, expect, it } from 'vitest'
import { makePlan, type PlanInput, type PlanMatch } from '../../cache/plan.ts'
import type { BlockHash, Layout, Rates } from '../../cache/types.ts'
import { noRates, toyLayout } from '../support/toy-engine.ts'

const match = (index: number, changes: Partial<PlanMatch> = {}): PlanMatch => ({
  hash: `${index}`.padStart(16, '0') as BlockHash,
  from: index * 256,
  storedTokens: 256,
  sharedTokens: 256,
  sizeBytes: 1_000_000,
  tier: 'ram',
  continues: true,
  ...changes,
})

const input = (changes: Partial<PlanInput>): PlanInput => ({
  promptTokens: 1000,
  reuse: 'token',
  layout: toyLayout,
  matches: [],
  rates: noRates,
  read: true,
  ...changes,
})

const rates = (prefill: number, ram: number, ssd: number): Rates => ({
  prefillTokensPerMs: prefill,
  restoreBytesPerMs: { ram, ssd },
})

describe('a plan', () => {
  it('is a miss of something never seen when nothing matches', () => {
    const plan = makePlan(input({}))
    expect(plan).toMatchObject({ outcome: 'miss', computeFrom: 0, records: [], tier: null })
    expect(plan.miss).toEqual({ reason: 'never_seen', atToken: 0 })
  })

  it('is a hit when the prompt goes on where the stored prefix ends', () => {
    const matches = [match(0), match(1, { continues: false })]
    const plan = makePlan(input({ matches }))
    expect(plan).toMatchObject({ outcome: 'hit', computeFrom: 512, miss: null, tier: 'ram' })
  })

  it('is partial when the prompt leaves a path that goes on', () => {
    const plan = makePlan(input({ matches: [match(0)] }))
    expect(plan.outcome).toBe('partial')
    expect(plan.miss).toEqual({ reason: 'diverged', atToken: 256 })
  })

  it('goes on to the token inside a block', () => {
    const plan = makePlan(input({ matches: [match(0), match(1, { sharedTokens: 99 })] }))
    expect(plan.computeFrom).toBe(355)
    expect(plan.records.at(-1)).toMatchObject({ from: 256, to: 355 })
    expect(plan.miss).toEqual({ reason: 'diverged', atToken: 355 })
  })

  it('uses whole blocks only with block reuse', () => {
    const matches = [match(0), match(1, { sharedTokens: 99 })]
    expect(makePlan(input({ reuse: 'block', matches })).computeFrom).toBe(256)
  })

  it('never restores the last token: its logits are not stored', () => {
    const matches = [match(0), match(1)]
    expect(makePlan(input({ promptTokens: 512, matches })).computeFrom).toBe(511)
    expect(makePlan(input({ promptTokens: 512, matches, reuse: 'block' })).computeFrom).toBe(256)
    expect(makePlan(input({ promptTokens: 512, matches })).outcome).toBe('hit')
    expect(makePlan(input({ promptTokens: 257, matches: [match(0)] })).computeFrom).toBe(256)
  })

  it('does not trim what cannot be sliced', () => {
    const layout: Layout = { ...toyLayout, sliceable: false }
    const matches = [match(0), match(1, { sharedTokens: 99 })]
    expect(makePlan(input({ layout, matches })).computeFrom).toBe(256)
  })

  it('names the slowest tier that has to be read', () => {
    const matches = [match(0, { tier: 'ssd' }), match(1)]
    expect(makePlan(input({ matches })).tier).toBe('ssd')
  })

  it('leaves out records that are slower to restore than to prefill', () => {
    const matches = [match(0), match(1, { tier: 'ssd' })]
    const plan = makePlan(input({ matches, rates: rates(1, 1_000_000, 100) }))
    expect(plan.computeFrom).toBe(256)
    expect(plan.miss).toEqual({ reason: 'restore_not_worth_it', atToken: 256 })
    expect(plan.reasons).toContain(
      '1 records from ssd are left out: about 10000 ms against 256 ms of prefill',
    )
    expect(plan.reasons).toContain(
      'restore 256 tokens in 1 records from ram: about 1 ms against 256 ms of prefill',
    )
  })

  it('says both times where nothing is restored, too, and which of them nobody has measured', () => {
    const declined = makePlan(input({ matches: [match(0)], rates: rates(1, 100, 100) }))
    expect(declined.records).toEqual([])
    expect(declined.reasons.at(-1)).toContain('about 10000 ms against 256 ms of prefill')
    const untimed = rates(1, 100, 100)
    const unknown = { ...untimed, restoreBytesPerMs: { ram: null, ssd: null } }
    const restored = makePlan(input({ matches: [match(0)], rates: unknown }))
    expect(restored.reasons.at(-1)).toContain('a time not measured yet against 256 ms of prefill')
  })

  it('estimates both times from the rates', () => {
    const plan = makePlan(input({ matches: [match(0)], rates: rates(0.5, 100_000, 1) }))
    expect(plan.estimate).toEqual({ restoreMs: 10, prefillMs: 512 })
  })

  it('misses a boundary only where one would be, had none gone', () => {
    const layout: Layout = { ...toyLayout, kinds: ['kv', 'window'], sliceable: false }
    const stored = { records: [], matchedTokens: 700, goesOn: true, leftAt: 640 }
    const planned = (expectedAt: number) =>
      makePlan(input({ layout, boundary: { ...stored, expectedAt } }))
    expect(planned(0).miss).toEqual({ reason: 'diverged', atToken: 700 })
    expect(planned(640).miss).toEqual({ reason: 'no_boundary', atToken: 0 })
    expect(planned(640).reasons.join()).toContain('the window is stored nowhere before them')
  })

  it('saves a boundary where the prompt leaves a stored one, if that is far enough', () => {
    const layout: Layout = { ...toyLayout, kinds: ['kv', 'state'], sliceable: false }
    const records = [{ kind: 'state', sizeBytes: 10, tier: 'ram' } as const]
    const planned = (leftAt: number, boundaries: readonly number[]) =>
      makePlan(
        input({
          layout,
          matches: [match(0)],
          boundary: { records, matchedTokens: 700, goesOn: true, expectedAt: 0, leftAt },
          boundaries,
        }),
      ).boundaries
    expect(planned(640, [256, 768, 999])).toEqual([640, 768, 999])
    expect(planned(320, [256, 768, 999])).toEqual([768, 999])
    expect(planned(640, [256, 576, 999])).toEqual([576, 999])
    expect(planned(0, [256, 768, 999])).toEqual([768, 999])
  })

  it('says why it bypasses', () => {
    const refused: Layout = { ...toyLayout, kinds: [], refusal: 'sliding windows come later' }
    const unsupported = makePlan(input({ layout: refused, matches: [match(0)] }))
    expect(unsupported).toMatchObject({ outcome: 'bypass', computeFrom: 0 })
    expect(unsupported.reasons.join()).toContain('sliding windows come later')
    expect(makePlan(input({ read: false })).miss?.reason).toBe('bypass')
  })
})

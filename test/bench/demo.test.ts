import { describe, expect, it } from 'vitest'
import { runBench } from './run-bench.ts'

interface DemoJson {
  readonly steps: readonly { readonly step: string; readonly cachedTokens: number }[]
  readonly claims: readonly { readonly verdict: string; readonly claim: string }[]
}

describe('npm run demo', () => {
  it.each(['token', 'block'])('tells a true story with reuse by %s', async (reuse) => {
    const ran = await runBench('demo', ['--quick', '--json', '--reuse', reuse])
    expect(ran.err).not.toContain('demo: ')
    const { steps, claims } = JSON.parse(ran.out) as DemoJson
    expect(claims.filter(({ verdict }) => verdict !== 'pass')).toEqual([])
    expect(steps.map(({ cachedTokens }) => cachedTokens > 0)).toEqual(steps.map((_, at) => at > 0))
    expect(ran).toMatchObject({ exitCode: 0, leftFiles: [], leftProcesses: [] })
  })

  it('leaves nothing behind when it is interrupted', async () => {
    const ran = await runBench('demo', ['--quick'], (text, interrupt) => {
      if (text.includes('turn 2')) interrupt()
    })
    expect(ran).toMatchObject({ exitCode: 130, out: '', leftFiles: [], leftProcesses: [] })
  })

  it('says which flag is wrong', async () => {
    const ran = await runBench('demo', ['--reuse', 'byte'])
    expect(ran).toMatchObject({ exitCode: 1, out: '' })
    expect(ran.err).toBe('demo: --reuse is token or block, not byte.\n')
  })
})

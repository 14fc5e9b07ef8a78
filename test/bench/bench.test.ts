import { describe, expect, it } from 'vitest'
import { readSource } from '../support/source-files.ts'
import { runBench } from './run-bench.ts'

interface BenchJson {
  readonly ratios: Readonly<Record<string, number>>
  readonly figures: readonly { readonly id: string; readonly promise: object | null }[]
}

// A busy machine takes a minute for all parts.
describe('npm run bench', () => {
  it('measures every figure that its page promises, and leaves nothing behind', async () => {
    const ran = await runBench('main', ['--quick', '--json'])
    expect(ran.err).not.toContain('bench: ')
    expect(ran).toMatchObject({ exitCode: 0, leftFiles: [], leftProcesses: [] })
    const { ratios, figures } = JSON.parse(ran.out) as BenchJson
    expect(Object.values(ratios).filter((ratio) => !(ratio > 0))).toEqual([])
    const page = readSource('bench/README.md').text
    const described = [...page.matchAll(/^\| `([a-z0-9_.]+)` +\|/gm)].map(([, id]) => id)
    // The larger prompts are left out of a quick run.
    const isQuick = (id: string | undefined): boolean => !/_(4k|7\.5k)$/.test(id ?? '')
    expect(described.filter(isQuick).toSorted()).toEqual(figures.map(({ id }) => id).toSorted())
  }, 180_000)

  it('says which parts there are', async () => {
    const ran = await runBench('main', ['--only', 'speed'])
    expect(ran).toMatchObject({ exitCode: 1, out: '' })
    expect(ran.err).toMatch(/^bench: --only knows restore, .*, not speed\.\n$/)
  })
})

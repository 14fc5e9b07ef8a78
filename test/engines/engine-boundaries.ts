/**
 * What every engine promises whose layout has records that are exact at one position only. A wrong
 * one must be refused: its answers would be wrong, and nobody would notice.
 */
import { expect, it } from 'vitest'
import type { RestoreRecord, Sequence } from '../../engines/types.ts'
import { generate, promptOf } from '../support/ask-engine.ts'
import { chainTo } from '../support/engine-arena.ts'
import type { ContractOptions, StartedWorker } from './engine-contract.ts'

const refusedRestore = { code: 'PREFIXD_E_ENGINE_RESTORE', corrupt: false }

export function boundaryContract(
  options: ContractOptions & { readonly reuse: 'token' | 'block' },
  worker: StartedWorker,
): void {
  const { blockTokens, reuse } = options
  const promptTokens = 3 * blockTokens + 9
  const onGrid = [blockTokens, 2 * blockTokens, 3 * blockTokens]
  const boundaries = reuse === 'block' ? onGrid : [7, ...onGrid, promptTokens - 1]

  /** A cold run that saves, and what it answered. */
  const saved = async (about: string) => {
    const tokens = await promptOf(worker.engine, promptTokens, about)
    const sink = worker.sink()
    const cold = await worker.sequence((it) => generate(it, { tokens, boundaries }, sink))
    return { tokens, sink, cold }
  }
  const warmFrom = (tokens: Uint32Array, records: RestoreRecord[], more: object = {}) =>
    worker.sequence(async (it) => {
      const { restoredTokens: computeFrom } = await it.restore(records)
      const restoredOnGrid = reuse === 'block'
      return generate(it, { tokens, computeFrom, restoredOnGrid, ...more }, worker.sink())
    })

  it('answers from every boundary as from a cold prefill', async () => {
    const { tokens, sink, cold } = await saved('boundaries')
    for (const boundary of boundaries) {
      const warm = await warmFrom(tokens, chainTo(sink, boundary))
      expect(warm.done.restoredTokens).toBe(boundary)
      expect(warm.done.computedTokens).toBe(promptTokens - boundary)
      expect(warm.tokens).toEqual(cold.tokens)
      if (options.exactForAnyCallSize || reuse === 'block') {
        expect(warm.logits).toEqual(cold.logits)
      }
    }
  })

  it('answers prompts that leave the saved one behind a boundary as if they were new', async () => {
    const { tokens, sink } = await saved('divergence')
    for (const boundary of boundaries) {
      const backwards = tokens.slice().reverse()
      const other = tokens.map((token, at) => (at < boundary ? token : (backwards[at] ?? 0)))
      const cold = await worker.sequence((it) => generate(it, { tokens: other }, worker.sink()))
      const warm = await warmFrom(other, chainTo(sink, boundary))
      expect(warm.tokens).toEqual(cold.tokens)
    }
  })

  it('refuses what belongs to another position, every time, and is empty afterwards', async () => {
    const { tokens, sink, cold } = await saved('wrong boundary')
    for (const boundary of boundaries) {
      const rows = chainTo(sink, boundary).filter(({ kind }) => kind === 'kv')
      for (const other of boundaries) {
        if (other === boundary) continue
        const exact = chainTo(sink, other).filter(({ kind }) => kind !== 'kv')
        await worker.sequence(async (it) => {
          await expect(it.restore([...rows, ...exact])).rejects.toMatchObject(refusedRestore)
          // The service may be wrong too: the engine looks at the bytes, not only at their names.
          const renamed = exact.map((record) => ({ ...record, ...placeOf(rows) }))
          await expect(it.restore([...rows, ...renamed])).rejects.toMatchObject(refusedRestore)
          expect((await generate(it, { tokens }, worker.sink())).tokens).toEqual(cold.tokens)
        })
      }
    }
  })

  it('computes nothing behind rows whose window or state is missing', async () => {
    const { tokens, sink } = await saved('missing boundary')
    const chain = chainTo(sink, 2 * blockTokens)
    for (const missing of chain.filter(({ kind }) => kind !== 'kv')) {
      await worker.sequence(async (it) => {
        await it.restore(chain.filter((record) => record !== missing))
        const input = { tokens, computeFrom: 2 * blockTokens }
        await expect(generate(it, input, worker.sink())).rejects.toThrow()
        await stillWorks(it, tokens)
      })
    }
  })

  it('takes its rows and what is exact at their end in several calls', async () => {
    const { tokens, sink, cold } = await saved('several calls')
    await worker.sequence(async (it) => {
      for (const record of chainTo(sink, 3 * blockTokens)) await it.restore([record])
      const restored = { computeFrom: 3 * blockTokens, restoredOnGrid: reuse === 'block' }
      const warm = await generate(it, { tokens, ...restored }, worker.sink())
      expect(warm.tokens).toEqual(cold.tokens)
    })
  })

  it('refuses to be cut back to fewer tokens', async () => {
    const tokens = await promptOf(worker.engine, blockTokens + 8, 'cut')
    await worker.sequence(async (it) => {
      await generate(it, { tokens, maxTokens: 0 }, worker.sink())
      await expect(it.trim(blockTokens)).rejects.toThrow()
      await it.trim(0).catch(() => {})
      await stillWorks(it, tokens)
    })
  })

  if (reuse === 'block') return

  it('computes one token of a repeated prompt, and only the new ones of a longer one', async () => {
    const { tokens, sink, cold } = await saved('again')
    const again = await warmFrom(tokens, chainTo(sink, promptTokens - 1))
    expect(again.done.computedTokens).toBe(1)
    expect(again.tokens).toEqual(cold.tokens)
    const end = promptTokens + cold.tokens.length - 1
    const longer = Uint32Array.from([...tokens, ...cold.tokens, ...tokens.subarray(0, 5)])
    const fresh = await worker.sequence((it) => generate(it, { tokens: longer }, worker.sink()))
    const next = await warmFrom(longer, chainTo(sink, end))
    expect(next.done.computedTokens).toBe(1 + 5)
    expect(next.tokens).toEqual(fresh.tokens)
  })
}

const placeOf = (rows: readonly RestoreRecord[]) => {
  const { from, to, keepTo } = rows.at(-1) as RestoreRecord
  return { from, to, keepTo }
}

async function stillWorks(sequence: Sequence, tokens: Uint32Array): Promise<void> {
  const nothing = { reserve: async () => null, commit() {}, abandon() {} }
  const answer = await generate(sequence, { tokens }, nothing)
  expect(answer.done.computedTokens).toBe(tokens.length)
}

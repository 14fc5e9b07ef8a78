/** Several requests decode in one batch of mlx-lm: nobody's answer may hear of the others. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { greedy } from '../../../bench/greedy.ts'
import type { MlxRuntime } from '../../../engines/index.ts'
import type { Engine, GenerateInput } from '../../../engines/types.ts'
import { type Answer, generate, promptOf, requestOf } from '../../support/ask-engine.ts'
import {
  chainTo,
  createCollectingSink,
  createEngineArena,
  type EngineArena,
} from '../../support/engine-arena.ts'
import { mlxIsRefused } from '../../support/mlx-environment.ts'
import type { MlxFamily } from '../../support/mlx-family-models.ts'
import { mlxTestRuntime, startMlx } from '../../support/start-mlx.ts'

const blockTokens = 32
const never = new AbortController().signal
describe.skipIf(mlxIsRefused !== null)('requests to a Python worker', () => {
  let runtime: MlxRuntime
  beforeAll(async () => {
    runtime = await mlxTestRuntime()
  })

  const opened = new Map<string, { engine: Engine; arena: EngineArena }>()

  afterAll(async () => {
    for (const { engine, arena } of opened.values()) {
      await engine.close(0)
      arena.close()
    }
  })

  function open(family: MlxFamily) {
    const arena = createEngineArena(64 * 1024 * 1024, 'shared')
    const engine = startMlx(runtime, { arena, family, worker: { blockTokens, sequences: 3 } })
    opened.set(family, { engine, arena })
    return { engine, arena }
  }

  /** One worker for each family: most of the time goes into its start. */
  async function started(family: MlxFamily) {
    const { engine, arena } = opened.get(family) ?? open(family)
    const ask = async (
      input: Partial<GenerateInput> & Pick<GenerateInput, 'tokens'>,
      sink = createCollectingSink(arena),
      signal = never,
    ): Promise<Answer> => {
      const sequence = await engine.openSequence(never)
      try {
        return await generate(sequence, input, sink, signal)
      } finally {
        await sequence.close()
      }
    }
    return { engine, arena, ask }
  }

  /** Float32 in a batch is summed in another order than alone. */
  const closeTo = (logits: readonly Float32Array[]) =>
    logits.map((row) => [...row.subarray(0, 8)].map((logit) => expect.closeTo(logit, 3)))

  const heads = ({ logits }: Answer) => logits.map((row) => [...row.subarray(0, 8)])

  const families: MlxFamily[] = ['llama', 'gemma3', 'qwen35', 'mamba2', 'llama4']

  describe.each(families)('with %s', (family) => {
    it('answers requests of several lengths together as it answers each alone', async () => {
      const { engine, ask } = await started(family)
      const lengths = [blockTokens + 3, 2 * blockTokens + 11, 9]
      const answerTokens = [20, 6, 13]
      const inputs = await Promise.all(
        lengths.map(async (length, at) => ({
          tokens: await promptOf(engine, length, `together ${at}`),
          maxTokens: answerTokens[at] ?? 1,
        })),
      )
      const alone: Answer[] = []
      for (const input of inputs) alone.push(await ask(input))
      const together = await Promise.all(inputs.map((input) => ask(input)))
      for (const [at, answer] of together.entries()) {
        expect(answer.tokens).toEqual(alone[at]?.tokens)
        expect(heads(answer)).toEqual(closeTo(alone[at]?.logits ?? []))
        expect(answer.done.decodedTokens).toBe(answerTokens[at])
      }
    })

    it('saves what was decoded in a batch so that the next turn goes on from it', async () => {
      const { engine, arena, ask } = await started(family)
      const sinks = [createCollectingSink(arena), createCollectingSink(arena)]
      const prompts = await Promise.all(
        sinks.map((_, at) => promptOf(engine, blockTokens + 5 + at, `saved ${at}`)),
      )
      const maxTokens = blockTokens + 9
      const answers = await Promise.all(
        prompts.map((tokens, at) => ask({ tokens, maxTokens }, sinks[at])),
      )
      for (const [at, answer] of answers.entries()) {
        const prompt = prompts[at] ?? new Uint32Array()
        const sink = sinks[at] as (typeof sinks)[number]
        const end = prompt.length + maxTokens - 1
        expect(sink.committed.at(-1)).toMatchObject({ to: end, grid: false })
        expect(sink.open.size).toBe(0)
        const tokens = Uint32Array.from([...prompt, ...answer.tokens, 5, 6, 7])
        const cold = await ask({ tokens })
        const sequence = await engine.openSequence(never)
        const { restoredTokens: computeFrom } = await sequence.restore(chainTo(sink, end))
        const warm = await generate(sequence, { tokens, computeFrom }, createCollectingSink(arena))
        await sequence.close()
        expect(warm.done).toMatchObject({ restoredTokens: end, computedTokens: 4 })
        expect(warm.tokens).toEqual(cold.tokens)
        expect(heads(warm)).toEqual(closeTo(cold.logits))
      }
    })
  })

  it('ends one request of a batch within a token, and the others go on', async () => {
    const { engine, arena, ask } = await started('llama')
    const tokens = await promptOf(engine, blockTokens, 'going')
    const alone = await ask({ tokens, maxTokens: 60 })
    const abort = new AbortController()
    const sequence = await engine.openSequence(never)
    const leaving = (async () => {
      const sink = createCollectingSink(arena)
      const input = { ...requestOf(await promptOf(engine, 20, 'leaving')), maxTokens: 400 }
      let last: unknown
      for await (const event of sequence.generate(input, sink, abort.signal)) {
        if (event.type === 'token') abort.abort()
        last = event
      }
      await sequence.close()
      return { last, committed: sink.committed }
    })()
    const going = await ask({ tokens, maxTokens: 60 })
    const { last, committed } = await leaving
    expect(last).toMatchObject({ type: 'done', finishReason: 'aborted' })
    expect(committed.at(-1)?.to).toBeGreaterThanOrEqual(20)
    expect(going.tokens).toEqual(alone.tokens)
  })

  it('draws with the seed of each request, whoever else draws in the same step', async () => {
    const { engine, ask } = await started('llama')
    const tokens = await promptOf(engine, 20, 'seeds')
    const hot = (seed: number) => ({
      tokens,
      maxTokens: 30,
      sampling: { ...greedy, temperature: 1.2, topK: 30, topP: 0.95, seed },
    })
    const alone = [await ask(hot(1)), await ask(hot(2))]
    const together = await Promise.all([ask(hot(1)), ask(hot(2)), ask(hot(3))])
    expect(together.slice(0, 2).map((it) => it.tokens)).toEqual(alone.map((it) => it.tokens))
    expect(alone[0]?.tokens).not.toEqual(alone[1]?.tokens)
  })

  it('holds one answer of a batch to its grammar, and no other', async () => {
    const { engine, ask } = await started('llama')
    const tokens = await promptOf(engine, 20, 'grammar')
    const alone = await ask({ tokens, maxTokens: 40 })
    const grammar = 'root ::= [a-c]{5} "!"'
    const [free, held] = await Promise.all([
      ask({ tokens, maxTokens: 40 }),
      ask({ tokens, grammar, maxTokens: 40, ignoreEnd: false }),
    ])
    expect(held.text).toMatch(/^[a-c]{5}!$/)
    expect(held.done.finishReason).toBe('stop')
    expect(free.tokens).toEqual(alone.tokens)
  })

  it('goes on with an answer while the prompt of another request is computed', async () => {
    const { engine, ask } = await started('llama')
    const order: string[] = []
    const short = await promptOf(engine, 8, 'short')
    const long = await promptOf(engine, 12 * blockTokens, 'long')
    const sequence = await engine.openSequence(never)
    const answering = (async () => {
      const input = { ...requestOf(short), maxTokens: 30 }
      const sink = { reserve: async () => null, commit() {}, abandon() {} }
      for await (const event of sequence.generate(input, sink, never)) {
        if (event.type === 'token') order.push('token')
      }
      await sequence.close()
    })()
    const { events } = await ask({ tokens: long, maxTokens: 1 })
    expect(events.filter(({ type }) => type === 'prefill')).toHaveLength(12)
    // One token behind each call of the long prompt, at least once both are under way.
    expect(order.length).toBeGreaterThanOrEqual(8)
    await answering
  })
})

import { afterEach, expect, it } from 'vitest'
import type { Engine } from '../../engines/types.ts'
import { generate } from '../support/ask-engine.ts'
import { createCollectingSink, createEngineArena } from '../support/engine-arena.ts'
import { startFake } from '../support/start-fake.ts'

const opened: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of opened.splice(0)) await close()
})

/** Names of requests in the order in which they ended, when the long one has begun first. */
async function orderOf(sequences: number): Promise<string[]> {
  const arena = createEngineArena(1024 * 1024, 'shared')
  const engine = startFake({ arena, worker: { sequences } })
  opened.push(async () => {
    await engine.close(0)
    arena.close()
  })
  await engine.ready()
  const order: string[] = []
  const ask = async (name: string, maxTokens: number): Promise<void> => {
    await answered(engine, maxTokens, createCollectingSink(arena))
    order.push(name)
  }
  await Promise.all([ask('long', 300), ask('short', 2)])
  return order
}

async function answered(
  engine: Engine,
  maxTokens: number,
  sink: ReturnType<typeof createCollectingSink>,
): Promise<void> {
  const sequence = await engine.openSequence(new AbortController().signal)
  const tokens = Uint32Array.from({ length: 40 }, (_, at) => 97 + (at % 26))
  await generate(sequence, { tokens, maxTokens, logits: false }, sink)
  await sequence.close()
}

it('a short request does not wait for a long answer where there are two sequences', async () => {
  expect(await orderOf(2)).toEqual(['short', 'long'])
})

it('with one sequence requests end in the order in which they came', async () => {
  expect(await orderOf(1)).toEqual(['long', 'short'])
})

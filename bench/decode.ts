/**
 * Decoding through the service, HTTP and saving included, beside the same engine called directly.
 */

import type { Engine } from '../engines/index.ts'
import { streamChat } from './chat-client.ts'
import { type Pair, pairedFigure } from './figures.ts'
import { greedy } from './greedy.ts'
import { noArena, noSink, tokensOfChat } from './live-prefix.ts'
import type { Part } from './part.ts'
import { startService } from './service-process.ts'
import { settingsFor, startBareEngine } from './settings.ts'

const messages = [
  { role: 'user', content: 'Tell a long story about a boat, a river and a clock.' },
] as const

export const decode: Part = async ({ choices, scratch, quick, progress }) => {
  const settings = await settingsFor(choices, scratch.directory)
  const service = await startService(settings.words, scratch)
  const engine = startBareEngine(settings, noArena)
  scratch.own(() => engine.close(0))
  const tokenCount = quick ? 8 : 256
  const pairs: Pair[] = []
  try {
    await engine.ready()
    // The first round compiles what the others run.
    for (let round = -1; round < (quick ? 1 : 6); round += 1) {
      progress(`decode: round ${round + 1}`)
      const value = await throughService(service.url, tokenCount)
      const limit = await bare(engine, tokenCount)
      if (round >= 0) pairs.push({ value, limit })
    }
  } finally {
    await engine.close(0)
    await service.kill()
  }
  return [
    pairedFigure(
      {
        id: 'decode_over_bare',
        what: 'decode over HTTP, saving',
        unit: 'tokens/s',
        limitWhat: 'bare engine',
        promise: { bound: 'at least', value: 0.97 },
      },
      pairs,
    ),
  ]
}

/** Tokens per second between the first token and the last one. */
async function throughService(url: string, tokenCount: number): Promise<number> {
  const answer = await streamChat(url, { messages, maxTokens: tokenCount, ignoreEnd: true })
  return ((answer.generatedTokens - 1) * 1000) / answer.decodeMs
}

/** The same without a service; under a grammar where one is given. */
export async function bare(
  engine: Engine,
  tokenCount: number,
  grammar: string | null = null,
): Promise<number> {
  const tokens = await tokensOfChat(engine, messages)
  const sequence = await engine.openSequence(new AbortController().signal)
  const input = {
    tokens,
    computeFrom: 0,
    restoredOnGrid: true,
    maxTokens: tokenCount,
    sampling: greedy,
    grammar,
    save: false,
    ignoreEnd: true,
  }
  const times: number[] = []
  for await (const event of sequence.generate(input, noSink, new AbortController().signal)) {
    if (event.type === 'token') times.push(performance.now())
  }
  await sequence.close()
  return ((times.length - 1) * 1000) / ((times.at(-1) ?? 0) - (times[0] ?? 0))
}

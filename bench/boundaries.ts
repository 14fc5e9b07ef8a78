/**
 * What it costs a cold prefill to end calls at boundaries: an agent's prompt with several messages,
 * cut where windows and states would be saved, beside the same prompt uncut. The engine is called
 * directly, and neither way saves, so that nothing but the cuts differs.
 */
import { boundariesToSave, type TokenIds } from '../cache/index.ts'
import type { Engine } from '../engines/index.ts'
import { messageEndsOf } from '../src/pipeline/message-ends.ts'
import { systemPrompt, turnCount, turnMessage } from './agent-loop.ts'
import type { ChatMessage } from './chat-client.ts'
import { type Pair, pairedFigure } from './figures.ts'
import { greedy } from './greedy.ts'
import { noArena, noSink, tokensOfChat } from './live-prefix.ts'
import type { Part } from './part.ts'
import { settingsFor, startBareEngine } from './settings.ts'
import { formatMs } from './table.ts'

/** With them and all turns, about 5,000 tokens of the default model. */
const fileCount = 30

export const boundaries: Part = async ({ choices, scratch, quick, progress }) => {
  const settings = await settingsFor(choices, scratch.directory)
  const engine = startBareEngine(settings, noArena)
  scratch.own(() => engine.close(0))
  const pairs: Pair[] = []
  try {
    const info = await engine.ready()
    const system = { role: 'system', content: systemPrompt(quick ? 2 : fileCount) } as const
    const tokens = await tokensOfChat(engine, [system, ...turns()])
    const { blockTokens, boundaryTokens, reuse } = settings.config
    const promptTokens = tokens.length
    const messageEnds = messageEndsOf(tokens, info)
    const cuts = boundariesToSave({ promptTokens, blockTokens, boundaryTokens, reuse, messageEnds })
    progress(`boundaries: ${promptTokens} tokens, cut at ${cuts.join(', ')}`)
    const cut = (): Promise<number> => prefillMs(engine, tokens, cuts)
    const uncut = (): Promise<number> => prefillMs(engine, tokens, [])
    // The first one compiles what the others run.
    await prefillMs(engine, tokens.slice(0, blockTokens), [])
    for (let round = 0; round < (quick ? 2 : 6); round += 1) {
      const pair =
        round % 2 === 0
          ? { value: await cut(), limit: await uncut() }
          : reversed({ value: await uncut(), limit: await cut() })
      pairs.push(pair)
      const [cutTime, uncutTime] = [formatMs(pair.value), formatMs(pair.limit)]
      progress(`boundaries: round ${round + 1}, ${cutTime} cut, ${uncutTime} uncut`)
    }
  } finally {
    await engine.close(0)
  }
  return [
    pairedFigure(
      {
        id: 'boundaries_over_none',
        what: 'cold prefill cut at boundaries',
        unit: 'ms',
        limitWhat: 'uncut',
        promise: { bound: 'at most', value: 1.02 },
      },
      pairs,
    ),
  ]
}

/** As many messages as the demo's agent has sent and got in its last turn. */
function turns(): ChatMessage[] {
  return Array.from({ length: turnCount }, (_, turn) => [
    turnMessage(turn),
    { role: 'assistant' as const, content: `I look at file ${turn + 1} and run its tests.` },
  ])
    .flat()
    .slice(0, -1)
}

const reversed = ({ value, limit }: Pair): Pair => ({ value: limit, limit: value })

/** Time of the engine's prefill calls, without waiting for anything else. */
async function prefillMs(
  engine: Engine,
  tokens: TokenIds,
  cuts: readonly number[],
): Promise<number> {
  const { signal } = new AbortController()
  const sequence = await engine.openSequence(signal)
  try {
    const input = {
      tokens,
      computeFrom: 0,
      restoredOnGrid: true,
      boundaries: cuts,
      maxTokens: 1,
      sampling: greedy,
      save: false,
      ignoreEnd: true,
    }
    for await (const event of sequence.generate(input, noSink, signal)) {
      if (event.type === 'done') return event.prefillMs
    }
    throw new Error('the engine’s stream ended without its receipt')
  } finally {
    await sequence.close()
  }
}

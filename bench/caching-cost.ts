/**
 * What caching costs a request that finds nothing: a cold prefill with saving beside one without,
 * over HTTP, every prompt a new one, the order changing from pair to pair.
 */
import { systemPrompt } from './agent-loop.ts'
import { streamChat } from './chat-client.ts'
import { type Pair, pairedFigure } from './figures.ts'
import type { Part } from './part.ts'
import { startService } from './service-process.ts'
import { settingsFor } from './settings.ts'

/** About 1,000 tokens of the default model. */
const fileCount = 6

export const cachingCost: Part = async ({ choices, scratch, quick, progress }) => {
  const settings = await settingsFor(choices, scratch.directory)
  const service = await startService(settings.words, scratch)
  let promptNumber = 1000
  const prefillMs = async (cache: string): Promise<number> => {
    promptNumber += 1
    // What differs stands at the beginning, so that no prompt shares a block with another one.
    const content = `Session ${promptNumber}. ${systemPrompt(fileCount)}`
    const messages = [{ role: 'user', content }] as const
    const answer = await streamChat(service.url, { messages, maxTokens: 1, cache })
    if (answer.cachedTokens > 0) throw new Error('a cold request found something')
    return answer.answerMs / answer.promptTokens
  }
  const saving = (): Promise<number> => prefillMs('no-read')
  const without = (): Promise<number> => prefillMs('no-read, no-write')
  const pairs: Pair[] = []
  try {
    await without()
    for (let round = 0; round < (quick ? 2 : 8); round += 1) {
      progress(`caching cost: round ${round + 1}`)
      if (round % 2 === 0) pairs.push({ value: await saving(), limit: await without() })
      else pairs.push(reversed({ value: await without(), limit: await saving() }))
    }
  } finally {
    await service.kill()
  }
  return [
    pairedFigure(
      {
        id: 'caching_cost',
        what: 'cold prefill with saving, a token',
        unit: 'ms',
        limitWhat: 'without saving',
        promise: { bound: 'at most', value: 1.02 },
      },
      pairs,
    ),
  ]
}

const reversed = ({ value, limit }: Pair): Pair => ({ value: limit, limit: value })

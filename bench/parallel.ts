/** A short question while a long answer is under way: with a sequence of its own, and without. */
import { setTimeout as delay } from 'node:timers/promises'
import { type ChatAnswer, streamChat } from './chat-client.ts'
import { type Pair, pairedFigure } from './figures.ts'
import type { Part, PartOptions } from './part.ts'
import { startService } from './service-process.ts'
import { settingsFor } from './settings.ts'

/** Until the long answer has left its prefill behind. */
const headStartMs = 400

export const parallel: Part = async (options) => {
  const { quick, progress } = options
  const pairs: Pair[] = []
  for (let round = 0; round < (quick ? 1 : 3); round += 1) {
    progress(`parallel: round ${round + 1}`)
    const value = await behindLongAnswer(options, 2, round)
    const limit = await behindLongAnswer(options, 1, round)
    pairs.push({ value: value.ttftMs, limit: limit.ttftMs })
    if (value.text !== limit.text) throw new Error('answers depend on who else is served')
  }
  return [
    pairedFigure(
      {
        id: 'ttft_behind_long_answer',
        what: 'TTFT behind a long answer, 2 sequences',
        unit: 'ms',
        limitWhat: '1 sequence',
        promise: null,
      },
      pairs,
    ),
  ]
}

/** The short question's answer. */
async function behindLongAnswer(
  { choices, scratch, quick }: PartOptions,
  sequences: number,
  round: number,
): Promise<ChatAnswer> {
  const settings = await settingsFor(choices, scratch.directory)
  const words = [...settings.words, '--sequences', String(sequences)]
  const service = await startService(words, scratch)
  try {
    const ask = (content: string, maxTokens: number) => {
      const messages = [{ role: 'user', content }] as const
      return streamChat(service.url, { messages, maxTokens, ignoreEnd: true, cache: 'no-read' })
    }
    const long = ask(`Tell story ${round} about a boat, a river and a clock.`, quick ? 24 : 256)
    await delay(headStartMs)
    const short = await ask(`What is ${round} and two?`, 8)
    await long
    return short
  } finally {
    await service.kill()
  }
}

/** What the demo does, in order; demo-claims.ts says what must be true of it. */

import {
  measuredSession,
  otherSession,
  systemPrompt,
  turnCount,
  turnMessage,
} from './agent-loop.ts'
import { type ChatAnswer, type ChatMessage, streamChat } from './chat-client.ts'
import { type LivePrefix, openLivePrefix, sharedBeginning } from './live-prefix.ts'
import type { Scratch } from './scratch-folder.ts'
import { type ServiceProcess, startService } from './service-process.ts'
import type { Settings } from './settings.ts'

/** One figure of the service with its yardstick, measured right after it. */
export interface WarmSample {
  readonly answer: ChatAnswer
  readonly liveMs: number
}

export interface Story {
  readonly turns: readonly ChatAnswer[]
  /** The last turn again, after kill -9 and a restart. */
  readonly afterRestart: ChatAnswer
  readonly newSession: ChatAnswer
  /** Tokens that the new session's prompt shares with the conversation's. */
  readonly sharedTokens: number
  /** The first request after a restart, each time after another one. */
  readonly fromSsd: readonly WarmSample[]
  readonly fromRam: readonly WarmSample[]
}

export interface StoryOptions {
  readonly settings: Settings
  readonly scratch: Scratch
  /** Files in the system prompt; 47 make about 6,500 tokens of the default model. */
  readonly fileCount: number
  readonly restarts: number
  readonly ramRounds: number
  readonly progress: (line: string) => void
}

const answerTokens = 24

export async function tellStory(options: StoryOptions): Promise<Story> {
  const { settings, scratch, progress } = options
  const start = (): Promise<ServiceProcess> => startService(settings.words, scratch)
  const system: ChatMessage = { role: 'system', content: systemPrompt(options.fileCount) }

  const first = await start()
  const conversation: ChatMessage[] = [system]
  const turns: ChatAnswer[] = []
  let lastTurn: readonly ChatMessage[] = []
  for (let turn = 0; turn < turnCount; turn += 1) {
    progress(turn === 0 ? 'turn 1: nothing is stored yet, this one is slow' : `turn ${turn + 1}`)
    conversation.push(turnMessage(turn))
    lastTurn = [...conversation]
    const answer = await ask(first.url, lastTurn)
    conversation.push({ role: 'assistant', content: answer.text })
    turns.push(answer)
  }

  progress('kill -9, start again, the last turn once more, then a new session')
  await first.kill()
  const second = await start()
  const afterRestart = await ask(second.url, lastTurn)
  const newSession = await ask(second.url, otherSession(system))
  await second.kill()

  progress('a bare engine takes the prefix into a sequence of its own')
  const live = await openLivePrefix(settings, measuredSession(system), scratch)
  try {
    const sharedTokens = sharedBeginning(
      await live.tokensOf(lastTurn),
      await live.tokensOf(otherSession(system)),
    )
    const samples = await measureWarm(options, start, measuredSession(system), live)
    return { turns, afterRestart, newSession, sharedTokens, ...samples }
  } finally {
    await live.close()
  }
}

const ask = (url: string, messages: readonly ChatMessage[]): Promise<ChatAnswer> =>
  streamChat(url, { messages, maxTokens: answerTokens })

/** The same request again and again: it is not saved, so that each time as much of it is found. */
async function measureWarm(
  { restarts, ramRounds, progress }: StoryOptions,
  start: () => Promise<ServiceProcess>,
  messages: readonly ChatMessage[],
  live: LivePrefix,
): Promise<Pick<Story, 'fromSsd' | 'fromRam'>> {
  const tokens = await live.tokensOf(messages)
  const sample = async (url: string): Promise<WarmSample> => {
    const answer = await streamChat(url, { messages, maxTokens: 4, cache: 'no-write' })
    return { answer, liveMs: await live.measure(tokens, answer.cachedTokens) }
  }
  const fromSsd: WarmSample[] = []
  const fromRam: WarmSample[] = []
  for (let restart = 1; restart <= restarts; restart += 1) {
    progress(`restart ${restart} of ${restarts}: the first request reads the SSD`)
    const service = await start()
    fromSsd.push(await sample(service.url))
    if (restart === restarts) {
      progress(`${ramRounds} times from RAM`)
      for (let round = 0; round < ramRounds; round += 1) fromRam.push(await sample(service.url))
    }
    await service.kill()
  }
  return { fromSsd, fromRam }
}

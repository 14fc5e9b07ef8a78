/** What the demo does, in order; demo-claims.ts says what must be true of it. */

import {
  measuredSession,
  otherSession,
  systemPrompt,
  turnCount,
  turnMessage,
} from './agent-loop.ts'
import { type ChatAnswer, type ChatMessage, streamChat } from './chat-client.ts'
import { openLivePrefix, sharedBeginning } from './live-prefix.ts'
import { measurePeer, type Peer } from './peer.ts'
import type { Scratch } from './scratch-folder.ts'
import { type ServiceProcess, startService } from './service-process.ts'
import type { Settings } from './settings.ts'
import { measureWarm, type WarmSamples } from './warm.ts'

export interface Story {
  readonly turns: readonly ChatAnswer[]
  /** The last turn again, after kill -9 and a restart. */
  readonly lastTurnAgain: ChatAnswer
  readonly newSession: ChatAnswer
  /** Tokens that the new session's prompt shares with the conversation's. */
  readonly sharedTokens: number
  readonly warm: WarmSamples
  /** Another server of the same engine, where there is one. */
  readonly peer: Peer | null
}

export interface StoryOptions {
  readonly settings: Settings
  readonly scratch: Scratch
  /** Files in the system prompt; 47 make about 6,500 tokens of the default model. */
  readonly fileCount: number
  readonly restarts: number
  readonly rounds: number
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
  const lastTurnAgain = await ask(second.url, lastTurn)
  const newSession = await ask(second.url, otherSession(system))
  await second.kill()

  progress('a bare engine takes the prefix into a sequence of its own')
  const live = await openLivePrefix(settings, measuredSession(system), scratch)
  try {
    const sharedTokens = sharedBeginning(
      await live.tokensOf(lastTurn),
      await live.tokensOf(otherSession(system)),
    )
    const warm = await measureWarm({
      ...options,
      start,
      live,
      messages: measuredSession(system),
    })
    const peer = await besides(options, system)
    return { turns, lastTurnAgain, newSession, sharedTokens, warm, peer }
  } finally {
    await live.close()
  }
}

async function besides(
  { settings, scratch, progress }: StoryOptions,
  system: ChatMessage,
): Promise<Peer | null> {
  if (settings.mlx === null) return null
  progress('mlx_lm.server: cold, warm, and cold again after a restart')
  return measurePeer(settings, settings.mlx, system, scratch)
}

const ask = (url: string, messages: readonly ChatMessage[]): Promise<ChatAnswer> =>
  streamChat(url, { messages, maxTokens: answerTokens })

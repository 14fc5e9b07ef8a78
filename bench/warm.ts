/** Warm requests over HTTP, each followed at once by its yardstick: the live prefix. */
import { type ChatAnswer, type ChatMessage, streamChat } from './chat-client.ts'
import type { LivePrefix } from './live-prefix.ts'
import { median } from './median.ts'
import type { ServiceProcess } from './service-process.ts'

/** One figure of the service with its yardstick, measured right after it. */
export interface WarmSample {
  readonly answer: ChatAnswer
  readonly liveMs: number
}

export interface WarmSamples {
  /** The first request after a restart, each time after another one. */
  readonly fromSsd: readonly WarmSample[]
  readonly fromRam: readonly WarmSample[]
}

export interface WarmOptions {
  readonly start: () => Promise<ServiceProcess>
  readonly live: LivePrefix
  readonly messages: readonly ChatMessage[]
  readonly restarts: number
  readonly ramRounds: number
  readonly progress: (line: string) => void
}

/**
 * The same request again and again: it is not saved, so that each time as much of it is found. No
 * service runs before or after.
 */
export async function measureWarm(options: WarmOptions): Promise<WarmSamples> {
  const { live, messages, restarts, ramRounds, progress } = options
  const tokens = await live.tokensOf(messages)
  const sample = async (url: string): Promise<WarmSample> => {
    const answer = await streamChat(url, { messages, maxTokens: 4, cache: 'no-write' })
    return { answer, liveMs: await live.measure(tokens, answer.cachedTokens) }
  }
  const fromSsd: WarmSample[] = []
  const fromRam: WarmSample[] = []
  for (let restart = 1; restart <= restarts; restart += 1) {
    progress(`restart ${restart} of ${restarts}: the first request reads the SSD`)
    const service = await options.start()
    fromSsd.push(await sample(service.url))
    if (restart === restarts) {
      progress(`${ramRounds} times from RAM`)
      for (let round = 0; round < ramRounds; round += 1) fromRam.push(await sample(service.url))
    }
    await service.kill()
  }
  return { fromSsd, fromRam }
}

/** Warm ÷ live, each pair measured back to back: what slows down both leaves it as it is. */
export const warmOverLive = (samples: readonly WarmSample[]): number =>
  median(samples.map(({ answer, liveMs }) => answer.ttftMs / liveMs))

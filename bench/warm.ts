/** Warm requests over HTTP, each followed at once by its yardstick: the live prefix. */
import { type ChatAnswer, type ChatMessage, emptyTier, streamChat } from './chat-client.ts'
import type { LivePrefix } from './live-prefix.ts'
import { median } from './median.ts'
import type { ServiceProcess } from './service-process.ts'

/** One figure of the service with its yardstick, measured right after it. */
export interface WarmSample {
  readonly answer: ChatAnswer
  readonly liveMs: number
}

export interface WarmSamples {
  /** The first request after a restart, each time after another one: what was read ahead helps. */
  readonly afterRestart: readonly WarmSample[]
  readonly fromRam: readonly WarmSample[]
  /** Each time with an empty RAM tier, so that all is read from the disk while the client waits. */
  readonly fromSsd: readonly WarmSample[]
}

export interface WarmOptions {
  readonly start: () => Promise<ServiceProcess>
  readonly live: LivePrefix
  readonly messages: readonly ChatMessage[]
  readonly restarts: number
  /** Requests from each tier. */
  readonly rounds: number
  readonly progress: (line: string) => void
}

/**
 * The same request again and again: it is not saved, so that each time as much of it is found. No
 * service runs before or after.
 */
export async function measureWarm(options: WarmOptions): Promise<WarmSamples> {
  const { live, messages, restarts, rounds, progress } = options
  const tokens = await live.tokensOf(messages)
  const sample = async ({ url }: ServiceProcess): Promise<WarmSample> => {
    const answer = await streamChat(url, { messages, maxTokens: 4, cache: 'no-write' })
    return { answer, liveMs: await live.measure(tokens, answer.cachedTokens) }
  }
  const samples: Record<keyof WarmSamples, WarmSample[]> = {
    afterRestart: [],
    fromRam: [],
    fromSsd: [],
  }
  for (let restart = 1; restart <= restarts; restart += 1) {
    progress(`restart ${restart} of ${restarts}: the first request`)
    const service = await options.start()
    samples.afterRestart.push(await sample(service))
    if (restart === restarts) {
      progress(`${rounds} times from RAM, ${rounds} times from the SSD`)
      for (let round = 0; round < rounds; round += 1) {
        samples.fromRam.push(await sample(service))
        await emptyTier(service.url, 'ram')
        samples.fromSsd.push(await sample(service))
      }
    }
    await service.kill()
  }
  return samples
}

/** Warm ÷ live, each pair measured back to back: what slows down both leaves it as it is. */
export const warmOverLive = (samples: readonly WarmSample[]): number =>
  median(samples.map(({ answer, liveMs }) => answer.ttftMs / liveMs))

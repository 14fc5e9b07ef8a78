/** The time to the first token over HTTP: cold, from RAM, from SSD after a restart, beside live. */
import { measuredSession, otherSession, systemPrompt } from './agent-loop.ts'
import { type ChatMessage, streamChat } from './chat-client.ts'
import { pairedFigure, plainFigure } from './figures.ts'
import { openLivePrefix } from './live-prefix.ts'
import type { Figure, Part, PartOptions } from './part.ts'
import { startService } from './service-process.ts'
import { type Settings, settingsFor } from './settings.ts'
import { measureWarm, type WarmSample } from './warm.ts'

/** Files in the system prompt that make about so many tokens of the default model. */
const sizes = [
  { name: '1k', fileCount: 6, isPromised: false },
  { name: '4k', fileCount: 28, isPromised: false },
  { name: '7.5k', fileCount: 54, isPromised: true },
] as const
type Size = (typeof sizes)[number]

export const ttft: Part = async (options) => {
  const { choices, scratch, quick } = options
  const settings = await settingsFor(choices, scratch.directory)
  const figures: Figure[] = []
  for (const size of quick ? sizes.slice(0, 1) : sizes) {
    figures.push(...(await measureSize(options, settings, size)))
  }
  return figures
}

async function measureSize(
  { scratch, quick, progress }: PartOptions,
  settings: Settings,
  size: Size,
): Promise<Figure[]> {
  const { name, fileCount, isPromised } = size
  // What differs stands at the beginning: one size must not find what another one has stored.
  const content = `House ${name}. ${systemPrompt(fileCount)}`
  const system = { role: 'system', content } as const
  const messages = measuredSession(system)
  const start = () => startService(settings.words, scratch)
  progress(`ttft ${name}: cold`)
  const coldMs = await measureCold(start, otherSession(system))
  const live = await openLivePrefix(settings, messages, scratch)
  try {
    const { afterRestart, fromSsd, fromRam } = await measureWarm({
      start,
      live,
      messages,
      restarts: quick ? 1 : 3,
      rounds: quick ? 1 : 5,
      progress: (line) => progress(`ttft ${name}: ${line}`),
    })
    const warm = (
      from: 'ram' | 'ssd' | 'restart',
      what: string,
      samples: readonly WarmSample[],
      most: number,
    ) =>
      pairedFigure(
        {
          id: `ttft_${from}_over_live_${name}`,
          what: `TTFT ${name}, ${what}`,
          unit: 'ms',
          limitWhat: 'live in its sequence',
          promise: isPromised ? { bound: 'at most', value: most } : null,
        },
        samples.map(({ answer, liveMs }) => ({ value: answer.ttftMs, limit: liveMs })),
      )
    return [
      plainFigure(
        { id: `ttft_cold_ms_${name}`, what: `TTFT ${name}, cold`, unit: 'ms', promise: null },
        coldMs,
      ),
      warm('ram', 'from RAM', fromRam, 1.1),
      warm('ssd', 'from SSD', fromSsd, 1.3),
      warm('restart', 'first after a restart', afterRestart, 1.3),
    ]
  } finally {
    await live.close()
  }
}

/** Stores the prompt, too; what is warm later is another question behind the same beginning. */
async function measureCold(
  start: () => ReturnType<typeof startService>,
  messages: readonly ChatMessage[],
): Promise<number> {
  const service = await start()
  // Even another prompt shares the template's first tokens, and reuse goes to the token.
  const answer = await streamChat(service.url, { messages, maxTokens: 4, cache: 'no-read' })
  if (answer.cachedTokens > 0) throw new Error('a cold request found something')
  await service.kill()
  return answer.ttftMs
}

/** How long the service's event loop is held up while it saves, and while it restores. */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { measuredSession, otherSession, systemPrompt } from './agent-loop.ts'
import { emptyTier, streamChat } from './chat-client.ts'
import { plainFigure } from './figures.ts'
import type { Figure, Part } from './part.ts'
import { type ServiceProcess, startService } from './service-process.ts'
import { settingsFor } from './settings.ts'

const probe = new URL('./event-loop-probe.ts', import.meta.url).href
const promisedMs = { p99: 10, max: 50 }
const answerMs = 5_000
const pollMs = 5

interface Delays {
  readonly p99Ms: number
  readonly maxMs: number
}

export const eventLoop: Part = async ({ choices, scratch, quick, progress }) => {
  const settings = await settingsFor(choices, scratch.directory)
  const file = join(scratch.directory, 'event-loop.json')
  const env = { NODE_OPTIONS: `--import ${probe}`, BENCH_EVENT_LOOP_FILE: file }
  const service = await startService(settings.words, scratch, env)
  const system = (name: string) =>
    ({ role: 'system', content: `House ${name}. ${systemPrompt(quick ? 2 : 15)}` }) as const
  const save = (name: string) =>
    streamChat(service.url, { messages: measuredSession(system(name)), maxTokens: 4 })
  const restore = () =>
    streamChat(service.url, {
      messages: otherSession(system('a')),
      maxTokens: 4,
      cache: 'no-write',
    })
  try {
    // Code that runs for the first time is compiled; that is the start, not the work.
    await save('a')
    await restore()
    await startProbe(service)
    progress('event loop: saving')
    await save('b')
    const saving = await readProbe(service, file)
    progress('event loop: restoring')
    for (let round = 0; round < (quick ? 1 : 10); round += 1) {
      await emptyTier(service.url, 'ram')
      await restore()
      await restore()
    }
    const restoring = await readProbe(service, file)
    return [...delayFigures('save', saving), ...delayFigures('restore', restoring)]
  } finally {
    await service.kill()
  }
}

function delayFigures(work: 'save' | 'restore', { p99Ms, maxMs }: Delays): Figure[] {
  const figure = (part: 'p99' | 'max', ms: number) =>
    plainFigure(
      {
        id: `event_loop_${work}_${part}_ms`,
        what: `event loop, ${work}, ${part}`,
        unit: 'ms',
        promise: { bound: 'at most', value: promisedMs[part] },
      },
      ms,
    )
  return [figure('p99', p99Ms), figure('max', maxMs)]
}

async function startProbe({ pid }: ServiceProcess): Promise<void> {
  process.kill(pid, 'SIGURG')
}

async function readProbe({ pid }: ServiceProcess, file: string): Promise<Delays> {
  process.kill(pid, 'SIGURG')
  for (let waitedMs = 0; !existsSync(file); waitedMs += pollMs) {
    if (waitedMs > answerMs) throw new Error('the probe in the service did not answer')
    await delay(pollMs)
  }
  const delays = JSON.parse(readFileSync(file, 'utf8')) as Delays
  rmSync(file)
  return delays
}

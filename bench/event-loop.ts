/**
 * How long the service's event loop is held up while it saves 2 GiB, and while it restores them
 * from both tiers. The bytes and their ways are the real ones, the model is the fake one: what an
 * engine computes it computes in its own process, and the default model would take minutes.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { TokenIds } from '../cache/index.ts'
import { emptyTier } from './chat-client.ts'
import { type Completion, complete } from './completions-client.ts'
import { wordsFor } from './crash/scenes.ts'
import { plainFigure } from './figures.ts'
import type { Figure, Part } from './part.ts'
import { createRandom } from './random.ts'
import { type ServiceProcess, startService } from './service-process.ts'

const probe = new URL('./event-loop-probe.ts', import.meta.url).href
const promisedMs = { p99: 10, max: 50 }
const answerMs = 5_000
const pollMs = 5

/** A block of 256 tokens has 16 MiB, a prompt 256. */
const bytesPerToken = 64 * 1024
const promptTokens = 4096
/** Behind every prompt, so that a repeated one is restored up to its last token. */
const answerTokens = 4
const sizes = {
  full: { prompts: 8, tiers: { ram: '3GiB', ssd: '3GiB' } },
  quick: { prompts: 1, tiers: { ram: '640MiB', ssd: '640MiB' } },
}

interface Delays {
  readonly p99Ms: number
  readonly maxMs: number
}

export const eventLoop: Part = async ({ scratch, quick, progress }) => {
  const file = join(scratch.directory, 'event-loop.json')
  const size = sizes[quick ? 'quick' : 'full']
  const service = await startService(
    wordsFor(scratch, 'event-loop', { engine: 'fake', ctx: `${2 * promptTokens}`, ...size.tiers }),
    scratch,
    {
      NODE_OPTIONS: `--import ${probe}`,
      BENCH_EVENT_LOOP_FILE: file,
      PREFIXD_FAKE: JSON.stringify({ bytesPerToken }),
    },
  )
  const send = (tokens: TokenIds) => complete(service.url, { tokens, answerTokens })
  try {
    // Code that runs for the first time is compiled; that is the start, not the work.
    const [first, ...prompts] = makePrompts(1 + size.prompts)
    for (let round = 0; round < 2; round += 1) await send(first as TokenIds)
    await startProbe(service)
    progress('event loop: saving')
    for (const tokens of prompts) expectSaved(await send(tokens))
    const saving = await readProbe(service, file)
    progress('event loop: restoring')
    for (const tokens of prompts) expectRestored(await send(tokens))
    await emptyTier(service.url, 'ram')
    for (const tokens of prompts) expectRestored(await send(tokens))
    const restoring = await readProbe(service, file)
    return [...delayFigures('save', saving), ...delayFigures('restore', restoring)]
  } finally {
    await service.kill()
  }
}

function makePrompts(count: number): TokenIds[] {
  const random = createRandom(count)
  const makeToken = () => random.integer(0, 255)
  return Array.from({ length: count }, () => Uint32Array.from({ length: promptTokens }, makeToken))
}

function expectSaved({ savedTokens }: Completion): void {
  if (savedTokens < promptTokens - 1) throw new Error(`only ${savedTokens} tokens were saved`)
}

function expectRestored({ cachedTokens }: Completion): void {
  if (cachedTokens < promptTokens - 1) throw new Error(`only ${cachedTokens} tokens were restored`)
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

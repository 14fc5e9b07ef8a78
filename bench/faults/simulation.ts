/** Episode after episode, each with a seed of its own, until so many steps are done. */
import xxhash from 'xxhash-wasm'
import type { SsdTier } from '../../cache/tiers/tier.ts'
import { createRandom } from '../random.ts'
import { type EpisodeCounts, noCounts } from './counts.ts'
import { beginEpisode, type EpisodeOptions } from './episode.ts'
import { createJournal } from './journal.ts'
import { createVirtualClock, ruleTime } from './virtual-clock.ts'

export interface SimulationOptions {
  readonly seed: number
  readonly steps: number
  /** The first one; those before it are left out. */
  readonly episode: number
  readonly onProgress: (line: string) => void
  /** Tests put a mistake into the tier here, to see that it is found. */
  readonly spoil?: (tier: SsdTier) => SsdTier
}

export interface Failure {
  readonly message: string
  readonly episode: number
  /** Of its episode, counted from 1. */
  readonly step: number
  readonly lines: readonly string[]
}

export interface SimulationReport {
  readonly steps: number
  readonly episodes: number
  readonly events: number
  readonly counts: EpisodeCounts
  /** Equal for equal seeds and steps, on every machine. */
  readonly digest: number
  readonly failure: Failure | null
}

const stepsPerEpisode = 250
/** Any time will do, if it is always the same. */
const startMs = 1_800_000_000_000

export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  const { h64Raw } = await xxhash()
  const total = { ...noCounts }
  let [steps, episodes, events, digest] = [0, 0, 0, 0]
  for (let episode = options.episode; steps < options.steps; episode += 1) {
    const wanted = Math.min(stepsPerEpisode, options.steps - steps)
    const clock = createVirtualClock(startMs)
    const journal = createJournal(() => clock)
    const random = createRandom(Math.imul(options.seed, 0x9e3779b1) + episode)
    const hash64 = (bytes: Uint8Array) => h64Raw(bytes)
    const spoil = options.spoil ?? ((tier) => tier)
    const parts = { clock, journal, random, hash64, spoil }
    const { step, failure, counts } = await runEpisode(parts, wanted)
    steps += step
    episodes += 1
    events += clock.eventCount
    digest = (Math.imul(digest, 31) + journal.digest) >>> 0
    for (const [name, count] of Object.entries(counts)) total[name as keyof EpisodeCounts] += count
    const found =
      failure === null ? null : { message: failure, episode, step, lines: journal.lines }
    if (found !== null) return { steps, episodes, events, digest, counts: total, failure: found }
    options.onProgress(`episode ${episode}: ${steps} of ${options.steps} steps`)
  }
  return { steps, episodes, events, digest, counts: total, failure: null }
}

async function runEpisode(parts: EpisodeOptions, steps: number) {
  const { clock, journal } = parts
  const onRejection = (reason: unknown): void =>
    journal.broken(`nobody handles ${reason instanceof Error ? reason.stack : String(reason)}`)
  process.on('unhandledRejection', onRejection)
  const endOfRule = ruleTime(clock)
  let step = 0
  let counts: Readonly<EpisodeCounts> = noCounts
  try {
    const episode = await beginEpisode(parts)
    counts = episode.counts
    for (; step < steps; step += 1) await episode.step()
    await episode.audit()
    return { step, counts, failure: null }
  } catch (error) {
    const failure = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { step: step + 1, counts, failure }
  } finally {
    endOfRule()
    process.off('unhandledRejection', onRejection)
  }
}

/** A service under traffic that is several times its budget, looked at again and again. */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { wordsFor } from '../crash/scenes.ts'
import type { Finding } from '../findings.ts'
import { createRandom } from '../random.ts'
import type { Scratch } from '../scratch-folder.ts'
import { type ServiceProcess, startService } from '../service-process.ts'
import { formatCount, renderTable } from '../table.ts'
import { flatnessOf, type Point, settled } from './flatness.ts'
import { type MeasureName, measures, type Sample, takeSample, type Watched } from './samples.ts'
import { sendTraffic, type TrafficCounts } from './traffic.ts'

export interface SoakOptions {
  readonly seed: number
  readonly durationMs: number
  readonly sampleEveryMs: number
  readonly scratch: Scratch
  readonly onProgress: (line: string) => void
}

export interface SoakReport {
  readonly samples: readonly Sample[]
  readonly counts: Readonly<TrafficCounts>
  readonly store: StoreStats
}

interface StoreStats {
  readonly corruptBlocks: number
  readonly failedWrites: number
  /** Written to the SSD over the whole run, as a multiple of what it holds. */
  readonly timesOverBudget: number
}

const probe = new URL('../event-loop-probe.ts', import.meta.url).href
const blockTokens = 64
const clients = 6

export async function soak(options: SoakOptions): Promise<SoakReport> {
  const { scratch, durationMs, sampleEveryMs, onProgress } = options
  const delaysFile = join(scratch.directory, 'event-loop.json')
  const words = wordsFor(scratch, 'soaked', {
    engine: 'fake',
    ram: '64MiB',
    ssd: '96MiB',
    'block-tokens': `${blockTokens}`,
  })
  const service = await startService(words, scratch, {
    NODE_OPTIONS: `--import ${probe}`,
    BENCH_EVENT_LOOP_FILE: delaysFile,
    PREFIXD_FAKE: '{"bytesPerToken":4096}',
  })
  const watched: Watched = {
    pid: service.pid,
    workerPid: await workerOf(service),
    directory: join(scratch.directory, 'soaked'),
    delaysFile,
  }
  process.kill(service.pid, 'SIGURG')
  const counts: TrafficCounts = {
    requests: 0,
    left: 0,
    promptTokens: 0,
    cachedTokens: 0,
    savedTokens: 0,
  }
  const over = new AbortController()
  const traffic = sendTraffic(
    {
      url: service.url,
      random: createRandom(options.seed),
      clients,
      promptTokensMax: 900,
      signal: over.signal,
    },
    counts,
  )
  const samples: Sample[] = []
  const startedAt = performance.now()
  const look = async (): Promise<void> => {
    while (performance.now() - startedAt < durationMs) {
      await delay(sampleEveryMs)
      samples.push(await takeSample(watched, performance.now() - startedAt))
      onProgress(`${formatCount(counts.requests)} requests`)
    }
  }
  try {
    // Clients that are refused end the soak.
    await Promise.race([look(), traffic.then(() => Promise.reject(new Error('no traffic')))])
    over.abort()
    await traffic
    const store = await readStore(service)
    await service.stop()
    return { samples, counts, store }
  } finally {
    over.abort()
    await traffic.catch(() => {})
  }
}

async function workerOf({ url }: ServiceProcess): Promise<number> {
  const { data } = (await (await fetch(`${url}/v1/workers`)).json()) as { data: { pid: number }[] }
  return data[0]?.pid ?? 0
}

interface StatsJson {
  readonly corrupt_blocks: number
  readonly failed_writes: number
  readonly refused_writes: number
  readonly tiers: readonly { tier: string; capacity_bytes: number; written_bytes: number }[]
}

async function readStore({ url }: ServiceProcess): Promise<StoreStats> {
  const stats = (await (await fetch(`${url}/v1/cache/stats`)).json()) as StatsJson
  const ssd = stats.tiers.find(({ tier }) => tier === 'ssd')
  return {
    corruptBlocks: stats.corrupt_blocks,
    failedWrites: stats.failed_writes + stats.refused_writes,
    timesOverBudget: ssd === undefined ? 0 : ssd.written_bytes / ssd.capacity_bytes,
  }
}

const pointsOf = (samples: readonly Sample[], name: MeasureName): Point[] =>
  settled(samples.map((sample) => ({ atMs: sample.atMs, value: sample[name] })))

export function soakTable({ samples }: SoakReport): string[] {
  const rows = measures.map(({ name, unit, tolerance }) => {
    const shown = (value: number): string => `${value.toFixed(1)}${unit === '' ? '' : ` ${unit}`}`
    const points = pointsOf(samples, name)
    const { median, max, growth, isFlat } = flatnessOf(points, tolerance ?? { share: 0, least: 0 })
    const [first] = points
    const verdict = tolerance === null ? '' : isFlat ? 'flat' : 'GROWS'
    return [name, shown(first?.value ?? 0), shown(median), shown(max), shown(growth), verdict]
  })
  return renderTable(['measure', 'first', 'median', 'most', 'growth', 'verdict'], rows)
}

export function soakFindings(report: SoakReport): Finding[] {
  const { samples, counts, store } = report
  const grown = measures.flatMap(({ name, unit, tolerance }): Finding[] => {
    if (tolerance === null) return []
    const { isFlat, growth, median } = flatnessOf(pointsOf(samples, name), tolerance)
    const found = `${growth.toFixed(2)} ${unit} of ${median.toFixed(1)}`
    return [{ claim: `${name} is flat`, holds: isFlat, found }]
  })
  const { requests, left, cachedTokens, promptTokens } = counts
  return [
    ...grown,
    {
      claim: 'the SSD tier was filled several times',
      holds: store.timesOverBudget > 2,
      found: `${store.timesOverBudget.toFixed(1)} times`,
    },
    {
      claim: 'clients found what they had sent, and some left',
      holds: cachedTokens > 0 && left > 0,
      found:
        `${formatCount(requests)} requests, ${formatCount(cachedTokens)} of ` +
        `${formatCount(promptTokens)} tokens cached, ${formatCount(left)} left`,
    },
    {
      claim: 'nothing was damaged or refused',
      holds: store.corruptBlocks === 0 && store.failedWrites === 0,
      found: `${store.corruptBlocks} corrupt blocks, ${store.failedWrites} failed writes`,
    },
  ]
}

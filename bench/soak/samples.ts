/** What a running service takes: memory, handles, files, and how late its event loop is. Linux. */
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Tolerance } from './flatness.ts'

const mebibyte = 1024 * 1024

export interface Measure {
  readonly name: string
  readonly unit: 'MiB' | 'ms' | ''
  /** Null: it is shown, and no part of the verdict. */
  readonly tolerance: Tolerance | null
}

const memory = { share: 0.05, least: 12 }
const handles = { share: 0, least: 1 }
const files = { share: 0.02, least: 1 }

export const measures = [
  { name: 'service memory', unit: 'MiB', tolerance: memory },
  { name: 'worker memory', unit: 'MiB', tolerance: memory },
  { name: 'service handles', unit: '', tolerance: handles },
  { name: 'worker handles', unit: '', tolerance: handles },
  { name: 'slab', unit: 'MiB', tolerance: files },
  { name: 'index', unit: 'MiB', tolerance: files },
  { name: 'event loop p99', unit: 'ms', tolerance: null },
  { name: 'event loop max', unit: 'ms', tolerance: null },
] as const satisfies readonly Measure[]

export type MeasureName = (typeof measures)[number]['name']
export type Sample = Readonly<Record<MeasureName, number>> & { readonly atMs: number }

export interface Watched {
  readonly pid: number
  readonly workerPid: number
  readonly directory: string
  /** Where the probe in the service writes; see event-loop-probe.ts. */
  readonly delaysFile: string
}

export async function takeSample(watched: Watched, atMs: number): Promise<Sample> {
  const { pid, workerPid, directory } = watched
  const { p99Ms, maxMs } = await readDelays(watched)
  return {
    atMs,
    'service memory': ownMemoryOf(pid),
    'worker memory': ownMemoryOf(workerPid),
    'service handles': handlesOf(pid),
    'worker handles': handlesOf(workerPid),
    slab: sizeOf(join(directory, 'spill.slab')),
    index: sizeOf(join(directory, 'index.mdb')),
    'event loop p99': p99Ms,
    'event loop max': maxMs,
  }
}

/**
 * What is no file's and nobody else's. All that is resident grows until the worker has touched the
 * whole arena, which the service has already, and with the pages of LMDB that happen to be read.
 */
function ownMemoryOf(pid: number): number {
  const kibibytes = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kibibytes) / 1024
}

const handlesOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length

const sizeOf = (path: string): number => statSync(path).size / mebibyte

const answerMs = 20_000
const pollMs = 20

/** Delays since the last time. */
async function readDelays({ pid, delaysFile }: Watched): Promise<{ p99Ms: number; maxMs: number }> {
  process.kill(pid, 'SIGURG')
  for (let waitedMs = 0; !existsSync(delaysFile); waitedMs += pollMs) {
    if (waitedMs > answerMs) throw new Error('the probe in the service did not answer')
    await delay(pollMs)
  }
  const delays = JSON.parse(readFileSync(delaysFile, 'utf8'))
  rmSync(delaysFile)
  return delays
}

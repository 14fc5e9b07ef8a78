/** The real service as a child process: started, killed with -9, started again. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Scratch } from './scratch-folder.ts'

const bin = fileURLToPath(new URL('../bin/prefixd', import.meta.url))
const readyMs = 120_000
const stopMs = 30_000
const workerGoneMs = 5_000
const workerPollMs = 10
const logLinesMax = 100

export interface ServiceProcess {
  /** Without a path, e.g. `http://127.0.0.1:40123`. */
  readonly url: string
  readonly pid: number
  /** The last lines that it wrote, oldest first. */
  readonly lines: readonly string[]
  /** SIGKILL; resolves when the service and its workers are gone. */
  kill(): Promise<void>
  /** SIGTERM: requests end, saves are written. */
  stop(): Promise<void>
}

/**
 * Runs `bin/prefixd serve` with these words and resolves when it says where it listens. Rejects
 * with what it wrote when it ends before, or is not ready within two minutes. `adminKey` is one of
 * the service's own file of keys, where it is started with one.
 */
export async function startService(
  words: readonly string[],
  scratch: Scratch,
  env: Readonly<Record<string, string>> = {},
  adminKey: string | null = null,
): Promise<ServiceProcess> {
  const child = spawn('sh', [bin, 'serve', ...words], {
    env: { ...withoutSettings(process.env), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const exited = once(child, 'exit')
  const end = async (signal: 'SIGKILL' | 'SIGTERM', limitMs: number): Promise<void> => {
    child.kill(signal)
    const timer = setTimeout(() => child.kill('SIGKILL'), limitMs)
    if (child.exitCode === null && child.signalCode === null) await exited
    clearTimeout(timer)
  }
  const disown = scratch.own(() => end('SIGKILL', stopMs))
  const lines: string[] = []
  const url = await readUrl(child, lines)
  const workerPids = await readWorkerPids(url, adminKey)
  const ended = async (signal: 'SIGKILL' | 'SIGTERM'): Promise<void> => {
    await end(signal, stopMs)
    await Promise.all(workerPids.map(untilGone))
    disown()
  }
  return {
    url,
    pid: child.pid ?? 0,
    lines,
    kill: () => ended('SIGKILL'),
    stop: () => ended('SIGTERM'),
  }
}

const places = ['PREFIXD_MODELS_DIR', 'PREFIXD_ENGINES_DIR']

/** A setting of this user must not change what is measured; where models and engines lie may. */
function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(
    ([name]) => !name.startsWith('PREFIXD_') || places.includes(name),
  )
  return Object.fromEntries(kept)
}

/**
 * The banner names the address, and comes when the model is loaded. `lines` goes on to be filled.
 */
function readUrl(child: ChildProcess, lines: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (what: string): void => {
      child.kill('SIGKILL')
      reject(new Error(`The service ${what}. It wrote:\n${lines.join('\n')}`))
    }
    const timer = setTimeout(() => fail(`was not ready within ${readyMs / 1000} s`), readyMs)
    const take = (line: string): void => {
      lines.push(line)
      if (lines.length > logLinesMax) lines.shift()
      const url = /^prefixd\s.*\s(http:\/\/\S+?)\/v1$/.exec(line)?.[1]
      if (url === undefined) return
      clearTimeout(timer)
      resolve(url)
    }
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', take)
    }
    child.once('exit', (code, signal) => {
      clearTimeout(timer)
      fail(`ended (${signal ?? `exit code ${code}`})`)
    })
    child.once('error', (error) => fail(`cannot be started: ${error.message}`))
  })
}

async function readWorkerPids(url: string, adminKey: string | null): Promise<number[]> {
  const headers = adminKey === null ? {} : { authorization: `Bearer ${adminKey}` }
  const reply = await fetch(`${url}/v1/workers`, { headers })
  const { data } = (await reply.json()) as { data: { pid: number | null }[] }
  return data.flatMap(({ pid }) => pid ?? [])
}

/**
 * It ends by itself when the service is gone; a measurement must not run beside its last moments.
 */
async function untilGone(pid: number): Promise<void> {
  for (let waitedMs = 0; isAlive(pid); waitedMs += workerPollMs) {
    if (waitedMs >= workerGoneMs) throw new Error(`The worker ${pid} outlived its service.`)
    await delay(workerPollMs)
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

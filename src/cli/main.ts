/** The executable behind bin/prefixd: this process, and nothing else, put into a context. */
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline/promises'
import { setTimeout as delay } from 'node:timers/promises'
import { currentSurroundings } from '../config/paths.ts'
import { runCli } from './app.ts'
import type { CliContext, Terminal } from './context.ts'
import { loadEnvironment } from './engine-install.ts'
import { Interrupted } from './failure.ts'
import { loadModels } from './model-pull.ts'

const context: CliContext = {
  // Only what stricli asks for; it writes in colour where `getColorDepth` says so, and we do that.
  process: {
    stdout: { write: (text) => void process.stdout.write(text) },
    stderr: { write: (text) => void process.stderr.write(text) },
    env: process.env,
    exitCode: null,
  },
  out: terminal(process.stdout),
  err: terminal(process.stderr),
  around: currentSurroundings(),
  version: packageVersion(),
  now: Date.now,
  fetch: (url, init) => fetch(url, init),
  ask,
  sleep,
  interrupted: interruptedSignal(),
  loadModels,
  loadEnvironment,
  loadService: () => import('../main.ts'),
  onShutdown: async (close) => (await import('./shutdown.ts')).onShutdown(close),
}

// A reader such as `head` may leave early; that is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit(0)
})

process.exitCode = await runCli(process.argv.slice(2), context)

function terminal(stream: NodeJS.WriteStream): Terminal {
  const isTTY = stream.isTTY === true
  return {
    write: (text) => void stream.write(text),
    isTTY,
    get width() {
      const columns = isTTY ? stream.columns : Number(process.env.COLUMNS)
      return columns > 0 ? columns : Number.POSITIVE_INFINITY
    },
    color: isTTY && stream.getColorDepth() > 1,
  }
}

/** The package's own, found upwards: sources and compiled files lie at different depths. */
function packageVersion(): string {
  for (const path of ['../../package.json', '../../../package.json']) {
    try {
      const file = readFileSync(new URL(path, import.meta.url), 'utf8')
      const { name, version } = JSON.parse(file) as { name?: string; version?: string }
      if (name === 'prefixd' && version !== undefined) return version
    } catch {
      // The other depth has it.
    }
  }
  return 'unknown'
}

async function ask(question: string): Promise<string | null> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return null
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  const unanswered = new Promise<string>((resolve, reject) => {
    lines.once('SIGINT', () => reject(new Interrupted()))
    // Ctrl-D.
    lines.once('close', () => resolve(''))
  })
  try {
    return await Promise.race([lines.question(question), unanswered])
  } finally {
    lines.close()
  }
}

async function sleep(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {})
}

/** Installs its handler on first use, so that other commands end at Ctrl-C as usual. */
function interruptedSignal(): () => AbortSignal {
  let controller: AbortController | null = null
  return () => {
    if (controller === null) {
      const first = new AbortController()
      controller = first
      process.once('SIGINT', () => first.abort())
    }
    return controller.signal
  }
}

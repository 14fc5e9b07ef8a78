/** Runs the CLI as a function call: nothing of this process is touched. */
import { runCli } from '../../src/cli/app.ts'
import type {
  CliContext,
  EnvironmentDoor,
  ModelsDoor,
  Shutdown,
  Terminal,
} from '../../src/cli/context.ts'
import type { ServiceModule } from '../../src/cli/service.ts'

export const nowMs = Date.UTC(2026, 10, 24, 13, 44, 9)

export interface RunOptions {
  /** Cells of the terminal; left out: a pipe. */
  readonly width?: number
  readonly env?: Readonly<Record<string, string>>
  /** What the person types when asked; left out: nobody can be asked. */
  readonly answer?: string
  readonly color?: boolean
  readonly fetch?: CliContext['fetch']
  readonly service?: Partial<ServiceModule>
  readonly models?: ModelsDoor
  readonly environment?: Partial<EnvironmentDoor>
  /** Called for each sleep of `--watch`; return true to press Ctrl-C. */
  readonly onSleep?: (count: number) => boolean
  /** Receives what ends `serve`. */
  readonly onListening?: (end: (shutdown?: Partial<Shutdown>) => Promise<void>) => void
  /** Ctrl-C was pressed at once. */
  readonly isInterrupted?: boolean
  readonly home?: string
  /** Sees all of stdout so far, each time that something is written. */
  readonly onOutput?: (text: string) => void
}

export interface Ran {
  readonly exit: number
  readonly out: string
  readonly err: string
  readonly questions: readonly string[]
}

export async function prefixd(words: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const out = capture(options, options.onOutput)
  const err = capture(options)
  const questions: string[] = []
  const interrupt = new AbortController()
  if (options.isInterrupted === true) interrupt.abort()
  let sleeps = 0
  const context: CliContext = {
    process: {
      stdout: { write: out.terminal.write },
      stderr: { write: err.terminal.write },
      env: {},
      exitCode: null,
    },
    out: out.terminal,
    err: err.terminal,
    around: {
      env: options.env ?? {},
      home: options.home ?? '/home/ada',
      platform: 'linux',
      workingDir: '/home/ada/work',
    },
    version: '0.4.0',
    now: () => nowMs + sleeps * 1000,
    fetch: options.fetch ?? ((url, init) => fetch(url, init)),
    ask: async (question) => {
      questions.push(question)
      return options.answer ?? null
    },
    sleep: async () => {
      sleeps += 1
      if (options.onSleep?.(sleeps) ?? true) interrupt.abort()
    },
    interrupted: () => interrupt.signal,
    loadModels: async () => {
      if (options.models === undefined) throw new Error('this command must not load the models')
      return options.models
    },
    loadEnvironment: async () => environmentDoor(options.environment),
    loadService: async () => {
      if (options.service === undefined) throw new Error('this command must not load the server')
      const refuse = () => {
        throw new Error('not expected in this test')
      }
      return {
        probeSharedMemory: () => {},
        serve: refuse,
        verifyOffline: refuse,
        ...options.service,
      }
    },
    onShutdown: async (close) => {
      options.onListening?.((shutdown) => close({ error: null, signal: 'SIGTERM', ...shutdown }))
      return () => {}
    },
  }
  const exit = await runCli(words, context)
  return { exit, out: out.text(), err: err.text(), questions }
}

/** A door in which each call must be expected. */
function environmentDoor(expected: Partial<EnvironmentDoor> = {}): EnvironmentDoor {
  const refuse = () => {
    throw new Error('not expected in this test')
  }
  return {
    checkMlxRemovable: refuse,
    convertGguf: refuse,
    examine: refuse,
    installMlx: refuse,
    listEngines: refuse,
    mlxComputer: refuse,
    mlxEnvironment: refuse,
    removeMlx: refuse,
    ...expected,
  }
}

function capture(
  options: RunOptions,
  onOutput: (text: string) => void = () => {},
): { terminal: Terminal; text: () => string } {
  let written = ''
  const terminal: Terminal = {
    write: (text) => {
      written += text
      onOutput(written)
    },
    isTTY: options.width !== undefined,
    width: options.width ?? Number.POSITIVE_INFINITY,
    color: options.color ?? false,
  }
  return { terminal, text: () => written }
}

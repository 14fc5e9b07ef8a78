/** One process of a worker: how it is started, what it said last, and when it has really ended. */
import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { EngineError } from './errors.ts'
import { lastWordsMs, logTailBytes, logTailLines } from './limits.ts'

export interface WorkerCommand {
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
}

export interface WorkerProcess {
  readonly pid: number | null
  readonly socket: Socket
  /** Resolves, never rejects, when the process has ended and its last frames have been read. */
  readonly ended: Promise<string>
  /** SIGKILL: nothing less ends a process that is inside a kernel of its engine. */
  kill(): void
  /** The last lines that it wrote, for an error message. */
  logTail(): string
}

/**
 * Starts a worker with stdio [ignore, log, log, control socket, arena]. Throws
 * PREFIXD_E_ENGINE_FAILED when the process could not even be made.
 */
export function startProcess(
  { command, args, env }: WorkerCommand,
  arenaFd: number | null,
  log: (line: string) => void,
): WorkerProcess {
  const child = spawn(command, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', ...(arenaFd === null ? [] : [arenaFd])],
  })
  const tail = createLogTail(log)
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => tail.push(chunk))
  }
  const socket = child.stdio[3] as (Socket & Readable) | null | undefined
  if (socket === null || socket === undefined) {
    throw new EngineError(
      'PREFIXD_E_ENGINE_FAILED',
      `The worker \`${command}\` cannot be started. Check that it exists and may be executed.`,
    )
  }
  return {
    pid: child.pid ?? null,
    socket,
    ended: untilEnded(child, command),
    kill: () => {
      child.kill('SIGKILL')
    },
    logTail: tail.lines,
  }
}

/** How it ended, in words. `close` may never come; the process itself is gone at `exit`. */
function untilEnded(child: ChildProcess, command: string): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => {
      // A process that was never made has no exit; one that was tells of its end by itself.
      if (child.pid === undefined) resolve(`\`${command}\` cannot be started: ${error.message}`)
    })
    child.once('exit', (code, signal) => {
      const words = signal === null ? `exit code ${code}` : `signal ${signal}`
      const timer = setTimeout(() => resolve(words), lastWordsMs)
      child.once('close', () => {
        clearTimeout(timer)
        resolve(words)
      })
    })
  })
}

function createLogTail(log: (line: string) => void) {
  let tail = ''
  let open = ''
  return {
    push(chunk: string): void {
      tail = (tail + chunk).slice(-logTailBytes)
      const lines = (open + chunk).split('\n')
      open = (lines.pop() ?? '').slice(-logTailBytes)
      for (const line of lines) if (line !== '') log(line)
    },
    lines: (): string => tail.trimEnd().split('\n').slice(-logTailLines).join('\n'),
  }
}

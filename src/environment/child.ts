/** Runs one program to its end, with all that it starts, and hands on what it says. */
import { spawn } from 'node:child_process'
import { limits } from '../config/limits.ts'

export interface ChildOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Kills the program and its children. */
  readonly signal: AbortSignal
  readonly onLine?: (line: string) => void
}

export interface ChildEnd {
  /** Null: it could not be started, or a signal ended it. */
  readonly exitCode: number | null
  /** The end of what it wrote to both streams; or why it could not be started. */
  readonly output: string
}

/** Resolves when the program has ended; rejects with the signal's reason when that was aborted. */
export function runChild(
  command: string,
  args: readonly string[],
  { env, signal, onLine = () => {} }: ChildOptions,
): Promise<ChildEnd> {
  signal.throwIfAborted()
  return new Promise((resolve, reject) => {
    // A group of its own: `python -m venv` and uv start programs that must end with them.
    const child = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      let open = ''
      stream.setEncoding('utf8').on('data', (chunk: string) => {
        output = (output + chunk).slice(-limits.installOutputBytes)
        const lines = (open + chunk).split('\n')
        open = (lines.pop() ?? '').slice(-limits.installOutputBytes)
        for (const line of lines) onLine(line)
      })
    }
    const kill = (): void => killGroup(child.pid)
    signal.addEventListener('abort', kill, { once: true })
    const settle = (end: ChildEnd): void => {
      signal.removeEventListener('abort', kill)
      if (signal.aborted) reject(signal.reason)
      else resolve(end)
    }
    child.on('error', ({ message }) => settle({ exitCode: null, output: message }))
    child.on('close', (exitCode) => settle({ exitCode, output }))
  })
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

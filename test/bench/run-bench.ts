/** Runs a program of bench/ with the fake engine, as npm does, in a folder of its own. */
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface BenchRun {
  readonly exitCode: number | null
  readonly out: string
  readonly err: string
  /** What it has left in its folder for temporary files. */
  readonly leftFiles: readonly string[]
  /** Command lines of processes that still name that folder. */
  readonly leftProcesses: readonly string[]
}

/** `onErr` sees all of stderr so far, and may interrupt the run as Ctrl-C does. */
export async function runBench(
  program: 'demo' | 'main',
  words: readonly string[],
  onErr: (text: string, interrupt: () => void) => void = () => {},
): Promise<BenchRun> {
  const path = fileURLToPath(new URL(`../../bench/${program}.ts`, import.meta.url))
  const folder = mkdtempSync(join(tmpdir(), 'prefixd-bench-test-'))
  try {
    const child = spawn(process.execPath, [path, '--engine', 'fake', ...words], {
      env: { ...process.env, TMPDIR: folder },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let out = ''
    let err = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      out += chunk
    })
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      err += chunk
      onErr(err, () => child.kill('SIGINT'))
    })
    const exitCode = await new Promise<number | null>((resolve) => child.once('close', resolve))
    const processes = execFileSync('ps', ['-A', '-o', 'args'], { encoding: 'utf8' }).split('\n')
    return {
      exitCode,
      out,
      err,
      leftFiles: readdirSync(folder),
      leftProcesses: processes.filter((line) => line.includes(folder)),
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * kill -9 of one process after the other on one directory, at any moment of opening, restoring,
 * saving, evicting and changing budgets. Each process looks for what those before it have
 * acknowledged.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Finding } from '../findings.ts'
import type { Random } from '../random.ts'
import type { Scratch } from '../scratch-folder.ts'

export interface KillOptions {
  readonly kills: number
  readonly random: Random
  readonly scratch: Scratch
  readonly onProgress: (line: string) => void
}

export interface KillReport {
  readonly kills: number
  /** Blocks that were acknowledged, and looked for at a later start. */
  readonly acknowledged: number
  readonly lookedFor: number
  readonly lost: number
  /** Sentences about answers and warnings that must not be. */
  readonly wrong: readonly string[]
  readonly restoredTokens: number
  readonly removals: number
  /** Changes of a budget. */
  readonly resizes: number
  /** Records that a smaller budget has had written to another place. */
  readonly moves: number
  /** Kills before the process had looked for all that was promised. */
  readonly early: number
  readonly openMs: readonly number[]
}

interface Target {
  /** Opens the directory; resolves when all that was promised was looked for, or it has ended. */
  begin(promised: readonly string[]): Promise<void>
  /** Resolves when it has acknowledged so many prompts, or ended. */
  acknowledged(count: number): Promise<void>
  /** Resolves with all that it has said. */
  kill(): Promise<string[]>
}

const script = fileURLToPath(new URL('./target.ts', import.meta.url))
/** So many kills come soon after the start, and mostly before the process is ready. */
const earlyShare = 0.3
const earlyMs = 400
/** The others come behind so many acknowledgements, and a moment. */
const acknowledgementsMax = 12
const momentMs = 40
/** Nothing is acknowledged for so long on no machine. */
const patienceMs = 60_000

export async function killAgainAndAgain(options: KillOptions): Promise<KillReport> {
  const { kills, random, scratch, onProgress } = options
  const directory = join(scratch.directory, 'killed')
  mkdirSync(directory, { recursive: true })
  const promised = new Set<string>()
  const report = {
    kills: 0,
    acknowledged: 0,
    lookedFor: 0,
    lost: 0,
    wrong: [] as string[],
    restoredTokens: 0,
    removals: 0,
    resizes: 0,
    moves: 0,
    early: 0,
    openMs: [] as number[],
  }
  const start = (): Target => startTarget(directory, random.integer(1, 2 ** 30), scratch)
  // The next one loads its code while this one works.
  let next = start()
  for (let kill = 1; kill <= kills; kill += 1) {
    const target = next
    next = start()
    const looked = promised.size
    void target.begin([...promised])
    const isEarly = random.next() < earlyShare
    if (!isEarly) await target.acknowledged(random.integer(1, acknowledgementsMax))
    await delay(random.next() * (isEarly ? earlyMs : momentMs))
    const lines = await target.kill()
    report.kills = kill
    if (lines.includes('ready')) report.lookedFor += looked
    else report.early += 1
    read(lines, promised, report)
    if (kill % 20 !== 0) continue
    const { acknowledged, lookedFor, lost, wrong } = report
    const found = `${lookedFor} looks, ${lost} lost, ${wrong.length} wrong`
    onProgress(`${kill} kills, ${acknowledged} blocks acknowledged, ${found}`)
  }
  // The last one is let through.
  await next.begin([...promised])
  report.lookedFor += promised.size
  read(await next.kill(), promised, report)
  return report
}

type Counts = { -readonly [K in keyof KillReport]: KillReport[K] } & {
  readonly wrong: string[]
  readonly openMs: number[]
}

function read(lines: readonly string[], promised: Set<string>, report: Counts): void {
  for (const line of lines) {
    if (line.startsWith('+')) {
      for (const hash of line.slice(1).split(' ')) {
        if (!promised.has(hash)) report.acknowledged += 1
        promised.add(hash)
      }
    } else if (line.startsWith('-')) {
      // Whether a removal that had begun was committed is not known: both is right.
      if (promised.delete(line.slice(1))) report.removals += 1
    } else if (line === 'resized') report.resizes += 1
    else if (line === 'moving') report.moves += 1
    else if (line.startsWith('lost ')) report.lost += 1
    else if (line.startsWith('wrong ')) report.wrong.push(line)
    else if (line.startsWith('checked ')) report.restoredTokens += Number(line.slice(8))
    else if (line.startsWith('open ')) report.openMs.push(Number(line.slice(5)))
  }
}

function startTarget(directory: string, seed: number, scratch: Scratch): Target {
  const child: ChildProcess = spawn(process.execPath, [script, directory, `${seed}`], {
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  const complaints: string[] = []
  const ready = Promise.withResolvers<void>()
  const enough = Promise.withResolvers<void>()
  let acknowledgements = 0
  let wanted = Number.POSITIVE_INFINITY
  const closed = once(child, 'close')
  const disown = scratch.own(async () => void child.kill('SIGKILL'))
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    lines.push(line)
    if (line === 'ready') ready.resolve()
    if (line.startsWith('+')) acknowledgements += 1
    if (acknowledgements >= wanted) enough.resolve()
  })
  child.stderr?.on('data', (chunk: Buffer) => complaints.push(chunk.toString()))
  // It is killed before it has read its line.
  child.stdin?.on('error', () => {})
  void closed.then(() => {
    ready.resolve()
    enough.resolve()
  })
  return {
    begin(promised) {
      const file = join(directory, '..', `promised-${seed}`)
      writeFileSync(file, promised.join('\n'))
      child.stdin?.write(`${file}\n`)
      return ready.promise
    },
    acknowledged(count) {
      wanted = count
      setTimeout(enough.resolve, patienceMs).unref()
      return enough.promise
    },
    async kill() {
      child.kill('SIGKILL')
      const [, signal] = await closed
      disown()
      // The last line may be cut in the middle.
      if (signal === 'SIGKILL') return lines
      throw new Error(`The process ended by itself (${signal}): ${complaints.join('')}`)
    },
  }
}

/** Fewer kills may all miss something. */
const manyKills = 100

export function killFindings(report: KillReport): Finding[] {
  const { kills, lost, wrong, lookedFor, early, removals, resizes, moves } = report
  const about = (claim: string, holds: boolean, found: string): Finding => ({
    claim: `killed process: ${claim}`,
    holds,
    found,
  })
  const answers = `${report.restoredTokens} tokens restored and compared`
  return [
    about(
      'no wrong restore',
      wrong.length === 0 && report.restoredTokens > 0,
      [answers, ...wrong].join('; '),
    ),
    about(
      'every acknowledged block is there',
      lost === 0 && lookedFor > 0,
      `${lost} lost in ${kills} kills, ${report.acknowledged} acknowledged, ${lookedFor} looks`,
    ),
    about(
      'kills come at any time',
      kills < manyKills || [early, removals, resizes, moves].every((count) => count > 0),
      `${early} while opening, ${removals} removals, ${resizes} changed budgets, ${moves} moves`,
    ),
  ]
}

/** Two turns of one session and one of another: an agent at work against the service. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Scratch } from '../scratch-folder.ts'
import type { Agent, Place, Turn } from './agent.ts'
import { type Exchange, readExchange } from './exchange.ts'
import type { Recorder, Recording } from './recorder.ts'

export interface TurnRun {
  readonly session: 1 | 2
  readonly turn: 1 | 2
  readonly exchanges: readonly Exchange[]
  /** Null: it had to be ended. */
  readonly exitCode: number | null
  readonly ownCachedTokens: number | null
  /** The last lines that it wrote, for a failure. */
  readonly lastWords: string
}

export interface AgentRun {
  readonly agent: Pick<Agent, 'id' | 'title' | 'version' | 'counts'>
  readonly turns: readonly TurnRun[]
}

export interface Stage {
  readonly scratch: Scratch
  readonly recorder: Recorder
  /** The program, and words that come before the agent's own. */
  readonly program: readonly [string, ...string[]]
  readonly place: Omit<Place, 'home' | 'project' | 'url'>
  readonly progress: (line: string) => void
  /** Sees every recording, with the name of its turn. */
  readonly keep?: (name: string, recordings: readonly Recording[]) => void
}

/** The second session begins with other words: what it shares is the system prompt. */
const script: readonly (Turn & Pick<TurnRun, 'session' | 'turn'>)[] = [
  { session: 1, turn: 1, continues: false, prompt: 'say pong' },
  { session: 1, turn: 2, continues: true, prompt: 'say pong once more' },
  { session: 2, turn: 1, continues: false, prompt: 'what is this project for? one line' },
]

/** A cold prompt of 12,000 tokens takes 6 minutes on one busy core. */
const turnMs = 45 * 60_000
const lastWordsLength = 2000

export async function playAgent(agent: Agent, stage: Stage): Promise<AgentRun> {
  const place = furnish(agent, stage)
  const turns: TurnRun[] = []
  for (const turn of script) {
    const { session, turn: number } = turn
    const name = `${agent.id}-session-${session}-turn-${number}`
    stage.progress(`${agent.title}: session ${session}, turn ${number}`)
    const { exitCode, output, errors } = await runTurn(agent, turn, place, stage)
    const recordings = await stage.recorder.take()
    stage.keep?.(name, recordings)
    turns.push({
      session,
      turn: number,
      exchanges: recordings.map(readExchange).filter((exchange) => exchange !== null),
      exitCode,
      ownCachedTokens: agent.ownCachedTokens(output),
      lastWords: `${output}\n${errors}`.trim().slice(-lastWordsLength),
    })
  }
  const { id, title, version, counts } = agent
  return { agent: { id, title, version, counts }, turns }
}

/** A home without anything of this user's, and a project that is small and always the same. */
function furnish(agent: Agent, { scratch, recorder, place }: Stage): Place {
  const room = join(scratch.directory, agent.id)
  const home = join(room, 'home')
  const project = join(room, 'project')
  for (const folder of [home, project, join(room, 'tmp')]) mkdirSync(folder, { recursive: true })
  writeFileSync(join(project, 'README.md'), '# Pong\n\nA server that answers every ping.\n')
  writeFileSync(join(project, 'pong.js'), "console.log('pong')\n")
  const furnished = { ...place, home, project, url: recorder.url }
  agent.prepare(furnished)
  return furnished
}

/** Nothing listens there: a client that insists on another host fails at once. */
const nowhere = 'http://127.0.0.1:9'

interface Ended {
  readonly exitCode: number | null
  readonly output: string
  readonly errors: string
}

async function runTurn(agent: Agent, turn: Turn, place: Place, stage: Stage): Promise<Ended> {
  const [program, ...before] = stage.program
  const child = spawn(program, [...before, ...agent.words(turn, place)], {
    cwd: place.project,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      HOME: place.home,
      TMPDIR: join(place.home, '..', 'tmp'),
      LANG: 'C.UTF-8',
      TERM: 'dumb',
      HTTP_PROXY: nowhere,
      HTTPS_PROXY: nowhere,
      NO_PROXY: '127.0.0.1,localhost',
      ...agent.env(place),
    },
  })
  const closed = new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve)
    child.once('error', reject)
  })
  const disown = stage.scratch.own(async () => {
    child.kill('SIGKILL')
    await closed
  })
  const timer = setTimeout(() => child.kill('SIGTERM'), turnMs)
  try {
    const [output, errors] = [textOf(child, 'stdout'), textOf(child, 'stderr')]
    const exitCode = await closed
    return { exitCode, output: await output, errors: await errors }
  } finally {
    clearTimeout(timer)
    disown()
  }
}

async function textOf(child: ChildProcess, name: 'stdout' | 'stderr'): Promise<string> {
  let text = ''
  for await (const chunk of child[name]?.setEncoding('utf8') ?? []) text += chunk
  return text
}

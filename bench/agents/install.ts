/**
 * The agents' packages, each at its exact version in a folder of its own under prefixd's cache
 * folder: hundreds of MB that are brought once, and are no dependencies of this project.
 */
import { spawn } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { cacheHome, currentSurroundings } from '../../src/config/paths.ts'
import type { Scratch } from '../scratch-folder.ts'
import type { Agent } from './agent.ts'

const progressMs = 5_000

export const agentsFolder = (): string =>
  join(cacheHome(currentSurroundings()), 'prefixd', 'agents')

/**
 * Path of the agent's program, installed if it is not yet. An installation that was cut is gone on
 * with: npm keeps whole packages. Install scripts do not run; the programs come in packages of
 * their platform. Rejects with npm's own last words.
 */
export async function installAgent(
  agent: Agent,
  folder: string,
  scratch: Scratch,
  progress: (line: string) => void,
): Promise<string> {
  const name = `${agent.title} ${agent.version}`
  const inside = agent.executable(process.platform, process.arch)
  if (inside === null) {
    throw new Error(`${name} has no program for ${process.platform} on ${process.arch}.`)
  }
  const target = join(folder, `${agent.id}-${agent.version}`)
  const program = join(target, 'node_modules', inside)
  if (existsSync(program)) return program
  const partial = `${target}.partial`
  mkdirSync(partial, { recursive: true })
  // Without a manifest of its own npm would look for one in the folders above.
  writeFileSync(join(partial, 'package.json'), '{"private":true}\n')
  progress(`installing ${name} into ${folder}; about 400 MB`)
  const timer = setInterval(() => progress(`installing ${name}: ${sizeText(partial)}`), progressMs)
  try {
    await npmInstall(`${agent.packageName}@${agent.version}`, partial, scratch)
  } finally {
    clearInterval(timer)
  }
  if (!existsSync(join(partial, 'node_modules', inside))) {
    throw new Error(`npm installed ${name}, but without ${inside}: npm skips optional packages.`)
  }
  // What stands there has lost its program.
  rmSync(target, { recursive: true, force: true })
  renameSync(partial, target)
  return program
}

async function npmInstall(spec: string, folder: string, scratch: Scratch): Promise<void> {
  const flags = [
    '--ignore-scripts',
    '--save-exact',
    '--no-audit',
    '--no-fund',
    '--include=optional',
  ]
  const child = spawn('npm', ['install', ...flags, spec], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const closed = new Promise<number | null>((resolve, reject) => {
    child.once('close', resolve)
    child.once('error', reject)
  })
  const disown = scratch.own(async () => {
    child.kill('SIGTERM')
    await closed
  })
  let words = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words = (words + text).slice(-2000)
  })
  const status = await closed
  disown()
  if (status !== 0) throw new Error(`npm could not install ${spec}:\n${words.trim()}`)
}

function sizeText(folder: string): string {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  const bytes = names.reduce((sum, name) => sum + sizeOf(join(folder, name)), 0)
  return `${Math.round(bytes / 1e6)} MB`
}

/** npm moves files while they are counted. */
const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0

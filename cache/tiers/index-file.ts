/**
 * The file of the index while it is closed: whether it can be opened, and where it goes when not.
 *
 * LMDB maps its file, so a damaged one does not make it throw: it kills the process, at open or at
 * any read. An index that this library did not close itself is therefore first read by a child.
 */
import { spawn } from 'node:child_process'
import {
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const indexName = 'index.mdb'
const cleanName = 'index.clean'
const brokenName = 'index.broken-'
/** Far above what walking a large index takes; a child that still reads then never ends. */
const probeMs = 300_000

/** Leaves a note of what the file looks like, so that the next open can trust it unread. */
export function trustUnread(directory: string): void {
  writeFileSync(join(directory, cleanName), fingerprint(directory) ?? '', { mode: 0o600 })
}

/** From here on it may change, or rot, without a note of it. */
export function distrust(directory: string): void {
  rmSync(join(directory, cleanName), { force: true })
}

function wasClosed(directory: string): boolean {
  try {
    return readFileSync(join(directory, cleanName), 'utf8') === fingerprint(directory)
  } catch {
    return false
  }
}

function fingerprint(directory: string): string | null {
  const stat = statSync(join(directory, indexName), { bigint: true, throwIfNoEntry: false })
  return stat === undefined ? null : `${stat.size} bytes, changed at ${stat.mtimeNs} ns\n`
}

/** What is wrong with the index of this directory; null: it can be read, or there is none. */
export async function indexDamage(directory: string): Promise<string | null> {
  const path = join(directory, indexName)
  return existsSync(path) && !wasClosed(directory) ? probe(path) : null
}

export async function setAsideIfDamaged(options: {
  readonly directory: string
  readonly onWarning: (message: string) => void
}): Promise<void> {
  const damage = await indexDamage(options.directory)
  if (damage === null) return
  const kept = setAside(options.directory)
  options.onWarning(
    `The index of the SSD tier is damaged (${damage}). It was kept as ${kept}, and the SSD tier ` +
      'starts empty.',
  )
}

/** Resolves with what is wrong, or null when a child could read all of the index. */
function probe(path: string): Promise<string | null> {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  const script = fileURLToPath(new URL(`./probe-index.${extension}`, import.meta.url))
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [script, path], { stdio: ['ignore', 'ignore', 'pipe'] })
    const timer = setTimeout(() => child.kill('SIGKILL'), probeMs)
    let complaint = ''
    child.stderr.on('data', (chunk: Buffer) => {
      complaint = (complaint + chunk.toString()).slice(-200)
    })
    child.on('error', reject)
    child.on('close', (exitCode, signal) => {
      clearTimeout(timer)
      const how = `reading it ended with ${signal ?? `exit code ${exitCode}`}`
      resolve(exitCode === 0 ? null : `${how} ${complaint.trim()}`.trimEnd())
    })
  })
}

/** Keeps one damaged index for whoever wants to look into it; an older one goes. */
function setAside(directory: string): string {
  const older = readdirSync(directory).filter((name) => name.startsWith(brokenName))
  const numbers = older.map((name) => Number(name.slice(brokenName.length)) || 0)
  const kept = `${brokenName}${Math.max(0, ...numbers) + 1}`
  for (const name of older) rmSync(join(directory, name), { force: true })
  renameSync(join(directory, indexName), join(directory, kept))
  rmSync(join(directory, `${indexName}-lock`), { force: true })
  return kept
}

/** One pull of one model at a time, among all processes that share the models folder. */
import { randomUUID } from 'node:crypto'
import { link, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { setTimeout as delay } from 'node:timers/promises'
import { limits } from '../config/limits.ts'

interface LockOwner {
  readonly pid: number
  readonly host: string
  readonly token: string
}

export interface LockHolder {
  readonly pid: number
  readonly host: string
}

export interface PullLock {
  /** Is it still ours? A process that slept for minutes may have been taken for dead. */
  isHeld(): Promise<boolean>
  release(): Promise<void>
}

/**
 * Waits until nobody else holds the lock, or the signal is aborted. `onWait` is called once, with
 * the process that is waited for. Throws the file system's errors.
 */
export async function takePullLock(
  path: string,
  signal: AbortSignal,
  onWait: (holder: LockHolder) => void,
): Promise<PullLock> {
  const owner: LockOwner = { pid: process.pid, host: hostname(), token: randomUUID() }
  let told = false
  // Ends with the holder, with a stale lock, or with the signal.
  while (true) {
    signal.throwIfAborted()
    if (await create(path, owner)) return hold(path, owner)
    const holder = await liveHolder(path)
    if (holder === null) {
      await stealDead(path)
      continue
    }
    if (!told) onWait(holder)
    told = true
    await delay(limits.pullLockPollMs, undefined, { signal })
  }
}

/** Written aside and linked, so that nobody ever reads half a lock. */
async function create(path: string, owner: LockOwner): Promise<boolean> {
  const draft = `${path}.${owner.token}`
  await writeFile(draft, JSON.stringify(owner))
  try {
    await link(draft, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    await rm(draft, { force: true })
  }
}

async function readOwner(path: string): Promise<LockOwner | null> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as LockOwner
  } catch {
    return null
  }
}

/** Who pulls now; null when nobody does, or whoever did has ended without a word. */
export async function liveHolder(path: string): Promise<LockHolder | null> {
  const owner = await readOwner(path)
  const touched = await stat(path).catch(() => null)
  if (owner === null || touched === null) return null
  if (Date.now() - touched.mtimeMs > limits.pullLockStaleMs) return null
  return owner.host === hostname() && !isAlive(owner.pid) ? null : owner
}

/** Runs a process of this number? */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Two waiters may see one dead lock; the second must not take away the first one's new lock. */
async function stealDead(path: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`
  try {
    await rename(path, aside)
  } catch {
    return
  }
  if ((await liveHolder(aside)) !== null) await link(aside, path).catch(() => {})
  await rm(aside, { force: true })
}

function hold(path: string, owner: LockOwner): PullLock {
  const isHeld = async (): Promise<boolean> => (await readOwner(path))?.token === owner.token
  const touching = setInterval(() => {
    const now = new Date()
    utimes(path, now, now).catch(() => {})
  }, limits.pullLockTouchMs)
  touching.unref()
  return {
    isHeld,
    async release() {
      clearInterval(touching)
      if (await isHeld()) await rm(path, { force: true })
    },
  }
}

/**
 * What running services use of this disk, so that nobody takes it away under them. All users of a
 * thing share the lock of one file beside it, and whoever takes the thing away needs that lock
 * alone; it ends with its holder, so a crash leaves nothing to clear. The file names the users, for
 * messages only.
 */
import { readFileSync, rmSync } from 'node:fs'
import type { FileLock } from '../../cache/file-lock.ts'
import { PrefixdError } from '../errors.ts'
import { isAlive } from './pull-lock.ts'

/** Ends when it is released, or with the process. */
export interface Use {
  release(): void
}

interface User {
  readonly pid: number
  /** Its `--dir`. */
  readonly directory: string
}

const unguarded: Use = { release() {} }

/**
 * `what` begins a sentence. Throws PREFIXD_E_IN_USE while the thing is being deleted. Where no lock
 * can be made, for instance in a folder of somebody else, the thing is used without one.
 */
export async function useThing(path: string, what: string, directory: string): Promise<Use> {
  const lock = await lockOrNothing(path, 'shared')
  if (lock === 'none') return unguarded
  if (lock === null) {
    throw new PrefixdError('PREFIXD_E_IN_USE', `${what} is being deleted by another process.`, {
      next: 'Wait for its end; what is missing then can be installed or pulled again.',
    })
  }
  const us: User = { pid: process.pid, directory }
  // Of two services that start at the same moment one may be lost, and then lacks its name only.
  const others = usersOf(path).filter(({ pid }) => pid !== us.pid)
  lock.replaceText([...others, us].map((user) => `${JSON.stringify(user)}\n`).join(''))
  return lock
}

/**
 * Whoever holds it may delete the thing. Throws PREFIXD_E_IN_USE, naming its users, unless `force`
 * says that it does not matter.
 */
export async function claimThing(path: string, what: string, force: boolean): Promise<Use> {
  const lock = await lockOrNothing(path, 'alone')
  if (lock === 'none' || (lock === null && force)) return unguarded
  if (lock === null) {
    const users = usersOf(path).map(({ pid, directory }) => `process ${pid} (--dir ${directory})`)
    const who = users.length > 0 ? users.join(' and ') : 'another process'
    throw new PrefixdError('PREFIXD_E_IN_USE', `${what} is used by a running prefixd: ${who}.`, {
      next: 'Stop it first. With --force it is deleted all the same, and its requests fail.',
    })
  }
  return {
    release() {
      rmSync(path, { force: true })
      lock.release()
    },
  }
}

async function lockOrNothing(
  path: string,
  how: 'shared' | 'alone',
): Promise<FileLock | null | 'none'> {
  try {
    // Loaded when it is needed: most commands of the CLI lock nothing.
    const { lockFile } = await import('../../cache/file-lock.ts')
    return lockFile(path, how)
  } catch {
    // Deleting says itself what is wrong with the folder.
    return 'none'
  }
}

/** Those that still run; without the right to read the file: nobody is known. */
function usersOf(path: string): User[] {
  try {
    const lines = readFileSync(path, 'utf8').split('\n').filter(Boolean)
    const users = lines.map((line) => JSON.parse(line) as User)
    return users.filter(({ pid, directory }) => typeof directory === 'string' && isAlive(pid))
  } catch {
    return []
  }
}

/**
 * One service per directory. The lock belongs to an open file, so the system releases it when the
 * holder dies, however it dies; the file that stays behind means nothing.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { CacheError } from '../errors.ts'
import { tryLock } from './libc.ts'

export interface DirectoryLock {
  readonly directory: string
  release(): void
}

/**
 * Creates the directory (mode 0700) when it is missing. Throws `PREFIXD_E_CACHE_LOCKED` when
 * another process, or this one, has it, and `PREFIXD_E_CACHE_DIRECTORY` when it cannot be written.
 */
export function lockDirectory(directory: string): DirectoryLock {
  const absolute = resolve(directory)
  let fd: number | null = null
  let locked: boolean
  try {
    mkdirSync(absolute, { recursive: true, mode: 0o700 })
    fd = openSync(join(absolute, 'prefixd.lock'), 'a+', 0o600)
    locked = tryLock(fd)
  } catch (cause) {
    if (fd !== null) closeSync(fd)
    throw new CacheError(
      'PREFIXD_E_CACHE_DIRECTORY',
      `The directory ${absolute} cannot be used: ${cause}. Make it writable for this user, or ` +
        'choose another one with --dir.',
      { cause },
    )
  }
  const lockFd = fd
  if (!locked) {
    const holder = readPid(lockFd)
    closeSync(lockFd)
    throw new CacheError(
      'PREFIXD_E_CACHE_LOCKED',
      `The directory ${absolute} is in use by ${holder}. Stop that prefixd first, or choose ` +
        'another directory with --dir.',
    )
  }
  ftruncateSync(lockFd)
  writeSync(lockFd, `${process.pid}\n`)
  let held = true
  return {
    directory: absolute,
    release() {
      if (!held) return
      held = false
      // The file is not removed: somebody may have opened it already and wait for this lock.
      closeSync(lockFd)
    },
  }
}

function readPid(fd: number): string {
  const text = Buffer.alloc(32)
  const pid = Number.parseInt(text.toString('ascii', 0, readSync(fd, text, 0, 32, 0)), 10)
  return Number.isInteger(pid) ? `process ${pid}` : 'another process'
}

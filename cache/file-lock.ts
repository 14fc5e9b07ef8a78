/**
 * The light door to locks of files that outlive nobody: the system gives a lock back when its
 * holder ends, however it ends. Loads none of the cache.
 */
import { closeSync, fstatSync, ftruncateSync, openSync, statSync, writeSync } from 'node:fs'
import { tryLock } from './tiers/libc.ts'

export interface FileLock {
  /** What the file says from now on; a shared lock allows it as well. */
  replaceText(text: string): void
  release(): void
}

/** A file that is removed again and again between its opening and its locking. */
const tries = 16

/**
 * `shared`: with everybody else who shares it. `alone`: then the file may be removed. Null:
 * somebody else has it in a way that does not go with this. Throws the file system's errors.
 */
export function lockFile(path: string, how: 'shared' | 'alone'): FileLock | null {
  for (let tried = 0; tried < tries; tried++) {
    const fd = openSync(path, 'a+')
    if (!tryLock(fd, how)) {
      closeSync(fd)
      return null
    }
    // Whoever had it alone may have removed it after it was opened: that lock would mean nothing.
    if (isAt(fd, path)) return held(fd)
    closeSync(fd)
  }
  return null
}

function isAt(fd: number, path: string): boolean {
  const stats = statSync(path, { throwIfNoEntry: false })
  const { ino, dev } = fstatSync(fd)
  return stats !== undefined && stats.ino === ino && stats.dev === dev
}

function held(fd: number): FileLock {
  let isHeld = true
  return {
    replaceText(text) {
      ftruncateSync(fd)
      writeSync(fd, text)
    },
    release() {
      if (isHeld) closeSync(fd)
      isHeld = false
    },
  }
}

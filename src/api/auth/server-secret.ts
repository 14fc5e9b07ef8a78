/** The service's own secret: made once, kept in the data directory, read by nobody else. */
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { PrefixdError } from '../../errors.ts'

const secretBytes = 32
const othersMask = 0o077

/**
 * 32 random bytes from `secret.key`, which is made when it is missing. Another secret means other
 * salts, and so a cold cache for every key. The caller holds the directory's lock. Throws
 * `PREFIXD_E_CACHE_DIRECTORY` for a file that is damaged or that others can read.
 */
export function readServerSecret(directory: string): Buffer {
  const path = join(directory, 'secret.key')
  try {
    return readSecret(path) ?? makeSecret(path)
  } catch (cause) {
    if (cause instanceof PrefixdError) throw cause
    throw refuse(`${path} cannot be used (${(cause as NodeJS.ErrnoException).code}).`, cause)
  }
}

/** Null when there is none. */
function readSecret(path: string): Buffer | null {
  let fd: number
  try {
    fd = openSync(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  try {
    const { mode, size } = fstatSync(fd)
    if ((mode & othersMask) !== 0) throw refuse(`${path} can be read by others.`)
    if (size !== secretBytes) throw refuse(`${path} has ${size} bytes, not ${secretBytes}.`)
    return readFileSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Renamed into place, so that a crash leaves a whole secret or none. */
function makeSecret(path: string): Buffer {
  const secret = randomBytes(secretBytes)
  const fresh = `${path}.new`
  const fd = openSync(fresh, 'w', 0o600)
  try {
    writeFileSync(fd, secret)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(fresh, path)
  return secret
}

const refuse = (message: string, cause?: unknown): PrefixdError =>
  new PrefixdError('PREFIXD_E_CACHE_DIRECTORY', message, {
    field: 'dir',
    next:
      'Make it readable for this user only (chmod 600), or delete it: every API key then begins ' +
      'with an empty cache.',
    ...(cause === undefined ? {} : { cause }),
  })

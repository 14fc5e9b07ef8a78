/** The file of API keys while the service runs: read at start, and again whenever it changes. */
import { randomBytes } from 'node:crypto'
import { type BigIntStats, closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { limits } from '../../config/limits.ts'
import { PrefixdError } from '../../errors.ts'
import { digestOf, parseKeyList } from './key-list.ts'
import { createKeyRing, type KeyRing } from './key-ring.ts'

export interface KeyFile extends KeyRing {
  /** An admin key of this run alone, for the process that started the service. */
  readonly ownKey: string
  /** Reads the file anew. One that is wrong changes nothing: the keys before it stay. */
  reload(): void
  /** Stops watching. */
  close(): void
}

export interface KeyFileOptions {
  readonly path: string
  /** From `readServerSecret`. */
  readonly secret: Uint8Array
  /** How often the file is asked whether it has changed. */
  readonly pollMs: number
  readonly onReloaded: (keyCount: number) => void
  readonly onRefused: (error: unknown) => void
}

/** Throws `PREFIXD_E_CONFIG` when the file cannot be read or has a line that is wrong. */
export function openKeyFile(options: KeyFileOptions): KeyFile {
  const { path, secret } = options
  const ownKey = randomBytes(32).toString('base64url')
  const own = { digest: digestOf(ownKey), group: null, isAdmin: true }
  const ringOf = (text: string) => {
    const keys = parseKeyList(text, path)
    return { keys: createKeyRing([...keys, own], secret), keyCount: keys.length }
  }

  const first = readBounded(path)
  let ring = ringOf(first.text).keys
  const reload = (): void => {
    try {
      const { keys, keyCount } = ringOf(readBounded(path).text)
      ring = keys
      options.onReloaded(keyCount)
    } catch (error) {
      options.onRefused(error)
    }
  }
  const stop = watch(path, first.version, options.pollMs, reload)
  return { ownKey, identify: (key) => ring.identify(key), reload, close: stop }
}

/**
 * Asks for the file's times: events get lost when editors and secret mounts replace a file. It is
 * compared with the version that was read, so that a change right behind the first reading counts.
 */
function watch(path: string, read: string, pollMs: number, onChange: () => void): () => void {
  let seen = read
  let isAsking = false
  let isStopped = false
  const ask = async (): Promise<void> => {
    if (isAsking) return
    isAsking = true
    const version = await stat(path, { bigint: true }).then(versionOf, () => 'no file')
    isAsking = false
    if (version === seen || isStopped) return
    seen = version
    onChange()
  }
  const timer = setInterval(() => void ask(), pollMs).unref()
  return () => {
    isStopped = true
    clearInterval(timer)
  }
}

const versionOf = ({ ino, size, mtimeNs, ctimeNs }: BigIntStats): string =>
  [ino, size, mtimeNs, ctimeNs].join(' ')

function readBounded(path: string): { readonly text: string; readonly version: string } {
  try {
    // Without waiting for somebody who writes into it, where it is a pipe.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const stats = fstatSync(fd, { bigint: true })
      if (!stats.isFile()) throw refuse(`${path} is not a file.`)
      if (stats.size <= limits.apiKeysFileBytes) {
        return { text: readFileSync(fd, 'utf8'), version: versionOf(stats) }
      }
      throw refuse(`${path} has ${stats.size} bytes, over the limit of ${limits.apiKeysFileBytes}.`)
    } finally {
      closeSync(fd)
    }
  } catch (cause) {
    if (cause instanceof PrefixdError) throw cause
    throw refuse(`${path} cannot be read (${(cause as NodeJS.ErrnoException).code}).`, cause)
  }
}

const refuse = (message: string, cause?: unknown): PrefixdError =>
  new PrefixdError('PREFIXD_E_CONFIG', message, {
    field: 'api-keys',
    next: 'Name a readable file with one key a line; docs/api.md has an example.',
    ...(cause === undefined ? {} : { cause }),
  })

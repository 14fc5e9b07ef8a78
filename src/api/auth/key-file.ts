/** The file of API keys while the service runs: read at start, and again whenever it changes. */
import { randomBytes } from 'node:crypto'
import { closeSync, fstatSync, openSync, readFileSync, unwatchFile, watchFile } from 'node:fs'
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
  const read = () => parseKeyList(readBounded(path), path)
  const ringOf = (keys: ReturnType<typeof read>) => createKeyRing([...keys, own], secret)

  let ring = ringOf(read())
  const reload = (): void => {
    try {
      const keys = read()
      ring = ringOf(keys)
      options.onReloaded(keys.length)
    } catch (error) {
      options.onRefused(error)
    }
  }
  // Asks for the file's times; events get lost when editors and secret mounts replace a file.
  watchFile(path, { interval: options.pollMs, persistent: false }, reload)
  return {
    ownKey,
    identify: (key) => ring.identify(key),
    reload,
    close: () => unwatchFile(path, reload),
  }
}

function readBounded(path: string): string {
  try {
    const fd = openSync(path, 'r')
    try {
      const { size } = fstatSync(fd)
      if (size <= limits.apiKeysFileBytes) return readFileSync(fd, 'utf8')
      throw refuse(`${path} has ${size} bytes, over the limit of ${limits.apiKeysFileBytes}.`)
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

/**
 * Which indexes this prefixd opens: those of its own format, and of encrypted ones those whose key
 * it was given. Nothing that it cannot read is changed, but what an older one wrote, which is set
 * aside.
 */
import { renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { CacheError } from '../errors.ts'
import { indexName } from './index-file.ts'
import { decodeFormat, encodeFormat, encryptedVersion, type Format } from './record-format.ts'
import { createSealing, fitsKey, markKey, type Sealing } from './sealing.ts'

/** What an index has of its format. */
export interface FormatPlace {
  /** Undefined: nothing is said of it. */
  readonly stored: Buffer | undefined
  /** It has no records either: it was made just now. */
  readonly isNew: boolean
  put(format: Buffer): Promise<unknown>
}

export interface FormatOptions {
  readonly directory: string
  /** Of a store that is not encrypted. */
  readonly format: Format
  /** 32 bytes; null: the store is not encrypted. */
  readonly encryptionKey?: Uint8Array | null
}

/**
 * Resolves with what seals and opens; null where nothing is encrypted. Rejects with
 * `PREFIXD_E_CACHE_FORMAT`, and with `PREFIXD_E_CACHE_KEY` where key and store do not fit.
 */
export async function settleFormat(
  place: FormatPlace,
  options: FormatOptions,
): Promise<Sealing | null> {
  const { directory, format: clear, encryptionKey: key = null } = options
  if (place.stored === undefined && place.isNew) return begin(place, clear, key)
  const found = place.stored === undefined ? null : decodeFormat(place.stored)
  if (found?.slotBytes === clear.slotBytes) {
    if (found.version === clear.version) {
      if (key === null) return null
      throw wrongKey(notEncrypted(directory))
    }
    if (found.version === encryptedVersion && found.key !== undefined) {
      if (key === null) throw wrongKey(needsKey(directory))
      if (!fitsKey(key, found.key)) throw wrongKey(needsOther(directory))
      return createSealing(key, found.key)
    }
  }
  throw new CacheError('PREFIXD_E_CACHE_FORMAT', unknownFormat(directory, found, clear))
}

async function begin(
  place: FormatPlace,
  clear: Format,
  key: Uint8Array | null,
): Promise<Sealing | null> {
  if (key === null) {
    await place.put(encodeFormat(clear))
    return null
  }
  const mark = markKey(key)
  const sealing = createSealing(key, mark)
  await place.put(encodeFormat({ ...clear, version: encryptedVersion, key: mark }))
  return sealing
}

/** The version of an index that was written before this one; null where it is not older. */
export function olderVersion(stored: Buffer | undefined, { version }: Format): number | null {
  const found = stored === undefined ? null : (decodeFormat(stored)?.version ?? null)
  return found !== null && found < version ? found : null
}

/** Nothing but the version that wrote it can read it. Returns what to tell people. */
export function setAsideOlder(version: number, directory: string): string {
  const kept = `index.format-${version}`
  renameSync(join(directory, indexName), join(directory, kept))
  rmSync(join(directory, `${indexName}-lock`), { force: true })
  return (
    `The index of the SSD tier has format ${version} of an older prefixd. It was kept as ` +
    `${kept}, and the SSD tier starts empty.`
  )
}

function unknownFormat(directory: string, found: Format | null, { version, slotBytes }: Format) {
  const has =
    found === null
      ? 'an unknown format'
      : `format ${found.version} with slots of ${found.slotBytes} bytes`
  return (
    `The cache in ${directory} has ${has}; this prefixd reads and writes format ` +
    `${version} with slots of ${slotBytes} bytes. Start the version that wrote it, choose ` +
    'another --dir, or delete the directory: it is only a cache.'
  )
}

const ways = 'choose another --dir, or delete the directory: it is only a cache.'

const needsKey = (directory: string): string =>
  `The cache in ${directory} is encrypted, and no key was given. Name its key with ` +
  `--encrypt-key-file or in PREFIXD_ENCRYPT_KEY, ${ways}`

const needsOther = (directory: string): string =>
  `The cache in ${directory} is encrypted with another key than the one that was given. Name ` +
  `that one, ${ways}`

const notEncrypted = (directory: string): string =>
  `The cache in ${directory} is not encrypted, and a key was given: what it has would stay ` +
  `readable. Start without the key, ${ways}`

const wrongKey = (message: string): CacheError => new CacheError('PREFIXD_E_CACHE_KEY', message)

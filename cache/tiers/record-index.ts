/**
 * The LMDB file that says which records exist. Four small databases in one environment: `records`,
 * `tokens`, `uses` and `meta`; record-format.ts has the bytes.
 */
import { accessSync, chmodSync, constants, existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Database, open, type RootDatabase } from 'lmdb'
import { CacheError } from '../errors.ts'
import type { BlockHash, Namespace, TokenIds } from '../types.ts'
import { distrust, indexName, setAsideIfDamaged, trustUnread } from './index-file.ts'
import {
  type FormatOptions,
  type FormatPlace,
  olderVersion,
  setAsideOlder,
  settleFormat,
} from './index-format.ts'
import {
  compareHashes,
  decodeHash,
  decodeTime,
  decodeTokens,
  type Entry,
  type EntryDecoder,
  encodeEntry,
  encodeHash,
  encodeKey,
  encodeTime,
  encodeTokens,
} from './record-format.ts'
import type { Sealing } from './sealing.ts'
import type { RecordKey, StoredText } from './tier.ts'

/** What one transaction changes. */
export interface IndexChange {
  readonly put?: { readonly entry: Entry; readonly tokens: TokenIds }
  readonly remove?: readonly RecordKey[]
  /** Blocks of which no record is left: their tokens and uses go too. */
  readonly forget?: readonly BlockHash[]
  readonly uses?: ReadonlyMap<BlockHash, number>
  /** See `SsdTier.writes`. */
  readonly writes?: string
}

export interface RecordIndex {
  /** Null: nothing in this store is encrypted. */
  readonly sealing: Sealing | null
  /**
   * Reads everything but the tokens, with the last uses: about 3 µs a record. Null stands for an
   * unreadable entry.
   */
  entries(decoder: EntryDecoder): Iterable<{ readonly key: Buffer; readonly entry: Entry | null }>
  /** Keys of records in their order, behind this one; for walks that others write beside. */
  keys(after: Buffer | null, limit: number): Buffer[]
  /** Null for an unreadable entry, undefined where there is none. */
  entry(decoder: EntryDecoder, key: Buffer): Entry | null | undefined
  readonly recordCount: number
  /** Blocks that have token ids or uses, and no record. */
  strays(): BlockHash[]
  /** A view that is good until the next read. Null also for what does not open with the key. */
  tokens(hash: BlockHash): TokenIds | null
  /** See `SsdTier.damagedTokens`. A view that is good until the next read. */
  damagedTokens(hash: BlockHash): TokenIds | null
  /** Resolves when LMDB has committed all of it. Rejects with LMDB's error when none of it was. */
  commit(change: IndexChange): Promise<void>
  removeRaw(keys: readonly Buffer[]): Promise<void>
  /** What a change said last; null: none did. */
  writes(): string | null
  notes(): Map<Namespace, string>
  note(namespace: Namespace, text: string): Promise<void>
  /** What people keep, in the service's words. Clear in an encrypted store, as notes are. */
  readonly pins: StoredText
  close(): Promise<void>
}

export interface RecordIndexOptions extends FormatOptions {
  /** What is done with an index of an older version, which this one cannot read. */
  readonly older?: 'set aside' | 'refuse'
  readonly onWarning: (message: string) => void
}

export const databaseNames = ['records', 'tokens', 'uses', 'meta'] as const
type DatabaseName = (typeof databaseNames)[number]
type BinaryDatabase = Database<Buffer, Buffer>
type BinaryRoot = RootDatabase<Buffer, Buffer>

const formatKey = Buffer.from('format')
const writesKey = Buffer.from('writes')
const pinsKey = Buffer.from('pins')
const notePrefix = 'note '
const noteKey = (namespace: string): Buffer => Buffer.from(notePrefix + namespace)

/** Rejects with `PREFIXD_E_CACHE_FORMAT`, `…_KEY` or `…_DIRECTORY`. */
export async function openRecordIndex(options: RecordIndexOptions): Promise<RecordIndex> {
  const { directory } = options
  const path = join(directory, indexName)
  let root: BinaryRoot
  try {
    if (existsSync(path)) accessSync(path, constants.R_OK | constants.W_OK)
    await setAsideIfDamaged(options)
    // Before it is opened: a file that rots unseen kills this process, and is then read by a child.
    distrust(directory)
    root = open<Buffer, Buffer>({ path, noSubdir: true, maxDbs: databaseNames.length })
    // LMDB lets everybody read what it makes.
    for (const file of [path, `${path}-lock`]) chmodSync(file, 0o600)
  } catch (cause) {
    throw new CacheError(
      'PREFIXD_E_CACHE_DIRECTORY',
      `The index ${path} cannot be opened: ${cause}. Make the directory writable for this user, ` +
        'or choose another one with --dir.',
      { cause },
    )
  }
  const databases = openDatabases(root)
  const place = formatPlace(databases)
  const older = options.older === 'set aside' ? olderVersion(place.stored, options.format) : null
  if (older !== null) {
    await root.close()
    options.onWarning(setAsideOlder(older, directory))
    return openRecordIndex(options)
  }
  try {
    const sealing = await settleFormat(place, options)
    return createRecordIndex({ root, databases, directory, sealing })
  } catch (error) {
    await closeIndex(root, directory)
    throw error
  }
}

const formatPlace = ({ meta, records }: Databases): FormatPlace => ({
  stored: meta.get(formatKey),
  isNew: isEmpty(records),
  put: (format) => meta.put(formatKey, format),
})

type Databases = Readonly<Record<DatabaseName, BinaryDatabase>>

export function openDatabases(root: BinaryRoot): Databases {
  const openOne = (name: DatabaseName, options: { encoder?: object } = {}) =>
    root.openDB<Buffer, Buffer>(name, { keyEncoding: 'binary', encoding: 'binary', ...options })
  return {
    records: openOne('records', { encoder: createScanEncoder() }),
    tokens: openOne('tokens'),
    uses: openOne('uses', { encoder: createScanEncoder() }),
    meta: openOne('meta'),
  }
}

/**
 * For values that are read once, at open, by the hundred thousand: they come in the same buffers
 * again, one for each length, so that each is good until the next one of its database.
 */
function createScanEncoder() {
  const buffers = new Map<number, Buffer>()
  return {
    encode: (value: Buffer) => value,
    decode(value: Buffer): Buffer {
      const { length } = value
      const known = buffers.get(length)
      const bytes = known ?? Buffer.alloc(length)
      if (known === undefined) buffers.set(length, bytes)
      for (let at = 0; at < length; at++) bytes[at] = value[at] as number
      return bytes
    },
  }
}

interface UsesInOrder {
  /** Asked for one record after the other, in the order of their keys; 0: none is known. */
  lastOf(key: Buffer): number
  /** Gives LMDB's cursor back. */
  end(): void
}

function readUses(uses: BinaryDatabase): UsesInOrder {
  const range = uses.getRange()[Symbol.iterator]()
  let use = range.next()
  return {
    lastOf(key) {
      for (; use.done !== true; use = range.next()) {
        const order = compareHashes(use.value.key, key)
        if (order === 0) return decodeTime(use.value.value)
        if (order > 0) break
      }
      return 0
    },
    end: () => void range.return?.(),
  }
}

interface IndexParts {
  readonly root: BinaryRoot
  readonly databases: Databases
  readonly directory: string
  readonly sealing: Sealing | null
}

function createRecordIndex({ root, databases, directory, sealing }: IndexParts): RecordIndex {
  const { records, tokens, uses, meta } = databases

  return {
    sealing,
    *entries(decoder) {
      const used = readUses(uses)
      try {
        for (const { key, value } of records.getRange()) {
          yield { key, entry: decoder.decode(key, value, used.lastOf(key)) }
        }
      } finally {
        used.end()
      }
    },
    keys(after, limit) {
      const range = records.getKeys(after === null ? { limit } : { start: after, limit: limit + 1 })
      return [...range].filter((key) => after === null || !key.equals(after))
    },
    entry(decoder, key) {
      const value = records.get(key)
      return value === undefined ? undefined : decoder.decode(key, value)
    },
    get recordCount() {
      return (records.getStats() as { entryCount: number }).entryCount
    },
    strays: () => straysOf(databases),
    tokens(hash) {
      const stored = tokens.getBinaryFast(encodeHash(hash))
      if (stored === undefined) return null
      const bytes = sealing === null ? stored : sealing.openTokens(hash, stored)
      return bytes === null ? null : decodeTokens(bytes)
    },
    damagedTokens(hash) {
      const stored = tokens.getBinaryFast(encodeHash(hash))
      if (stored === undefined) return null
      const bytes = sealing === null ? stored : sealing.openDamagedTokens(hash, stored)
      return bytes === null ? null : decodeTokens(bytes)
    },
    async commit(change) {
      const changes = encodeChange(change, databases, sealing)
      const writes: Promise<boolean>[] = []
      const done = root.batch(() => {
        for (const { database, key, value } of changes) {
          writes.push(value === null ? database.remove(key) : database.put(key, value))
        }
      })
      await Promise.all([done, ...writes])
    },
    async removeRaw(keys) {
      await Promise.all(keys.map((key) => records.remove(key)))
    },
    writes: () => meta.get(writesKey)?.toString() ?? null,
    notes() {
      const found = new Map<Namespace, string>()
      for (const { key, value } of meta.getRange({ start: noteKey('') })) {
        const name = Buffer.from(key).toString()
        if (!name.startsWith(notePrefix)) break
        found.set(name.slice(notePrefix.length) as Namespace, value.toString())
      }
      return found
    },
    async note(namespace, text) {
      const key = noteKey(namespace)
      await (text === '' ? meta.remove(key) : meta.put(key, Buffer.from(text)))
    },
    pins: {
      read: () => meta.get(pinsKey)?.toString() ?? null,
      write: async (text) => void (await meta.put(pinsKey, Buffer.from(text))),
    },
    close: () => closeIndex(root, directory),
  }
}

/** Both in the order of hashes: one walk along both. */
function straysOf({ records, tokens, uses }: Databases): BlockHash[] {
  const strays = new Set<BlockHash>()
  for (const database of [tokens, uses]) {
    const range = records.getKeys()[Symbol.iterator]()
    let record = range.next()
    for (const key of database.getKeys()) {
      while (record.done !== true && compareHashes(record.value, key) < 0) record = range.next()
      const isOwned = record.done !== true && compareHashes(record.value, key) === 0
      if (!isOwned && key.length === 8) strays.add(decodeHash(key, 0))
    }
    range.return?.()
  }
  return [...strays]
}

interface EncodedChange {
  readonly database: BinaryDatabase
  readonly key: Buffer
  /** Null removes the key. */
  readonly value: Buffer | null
}

/** Done before the transaction begins: what cannot be encoded must not leave half of one behind. */
function encodeChange(
  change: IndexChange,
  databases: Databases,
  sealing: Sealing | null,
): EncodedChange[] {
  const { records, tokens, uses, meta } = databases
  const changes: EncodedChange[] = []
  for (const key of change.remove ?? []) {
    changes.push({ database: records, key: encodeKey(key), value: null })
  }
  for (const hash of change.forget ?? []) {
    const key = encodeHash(hash)
    changes.push({ database: tokens, key, value: null }, { database: uses, key, value: null })
  }
  for (const [hash, atMs] of change.uses ?? []) {
    changes.push({ database: uses, key: encodeHash(hash), value: encodeTime(atMs) })
  }
  if (change.writes !== undefined) {
    changes.push({ database: meta, key: writesKey, value: Buffer.from(change.writes) })
  }
  if (change.put === undefined) return changes
  const { entry, tokens: ids } = change.put
  const { hash } = entry.record
  const bytes = encodeTokens(ids)
  const value = sealing === null ? bytes : sealing.sealTokens(hash, bytes)
  changes.push({ database: records, key: encodeKey(entry.record), value: encodeEntry(entry) })
  changes.push({ database: tokens, key: encodeHash(hash), value })
  return changes
}

function isEmpty(database: BinaryDatabase): boolean {
  for (const _ of database.getKeys({ limit: 1 })) return false
  return true
}

/** Leaves a note of what the file looked like, so that the next open can trust it unread. */
async function closeIndex(root: BinaryRoot, directory: string) {
  await root.flushed
  await root.close()
  trustUnread(directory)
}

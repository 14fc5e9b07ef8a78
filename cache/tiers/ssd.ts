/**
 * The SSD tier: records in slots of the slab, and LMDB as the authority on which of them exist. The
 * bytes are written first and the entry after them, the entry is removed first and the slots are
 * reused after it; so a process that dies at any moment leaves nothing to repair.
 */
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { CacheError } from '../errors.ts'
import type { BlockHash, Crc32s, RecordKind } from '../types.ts'
import { type DirectoryLock, lockDirectory } from './directory-lock.ts'
import { createEntryDecoder, type Entry, formatVersion } from './record-format.ts'
import { type IndexChange, openRecordIndex, type RecordIndex } from './record-index.ts'
import { openSlab, type Slab, slotBytes } from './slab.ts'
import { ioUnitBytes, type SlabIo } from './slab-file.ts'
import type { SlotRun } from './slots.ts'
import type { RecordKey, SsdTier, StoredRecord } from './tier.ts'

export interface SsdTierOptions {
  /** Created with mode 0700 when missing. */
  readonly directory: string
  /** At least one slot of 1 MiB. */
  readonly capacityBytes: number
  /** The slab grows in steps of this. */
  readonly stepBytes: number
  /** Free bytes of the file system that the slab leaves to others. */
  readonly freeDiskFloorBytes: number
  readonly readsInFlight: number
  readonly writesInFlight: number
  /** How long uses are collected before they are written. */
  readonly usesFlushMs?: number
  /** The lock of the directory, when the caller holds it already; otherwise the tier takes it. */
  readonly lock?: DirectoryLock
  /** Something was lost or set aside, in a sentence for people. */
  readonly onWarning?: (message: string) => void
  /** Tests make faults here. */
  readonly io?: SlabIo
  readonly freeDiskBytes?: (directory: string) => Promise<number>
}

/**
 * Opens the tier, with the index of an earlier run; no payload is read. Rejects with
 * `PREFIXD_E_CACHE_LOCKED`, `PREFIXD_E_CACHE_DIRECTORY` or `PREFIXD_E_CACHE_FORMAT`.
 */
export async function openSsdTier(options: SsdTierOptions): Promise<SsdTier> {
  const lock = options.lock ?? lockDirectory(options.directory)
  const releaseLock = () => {
    if (options.lock === undefined) lock.release()
  }
  const onWarning = options.onWarning ?? (() => {})
  let index: RecordIndex | null = null
  let slab: Slab | null = null
  try {
    const format = { version: formatVersion, slotBytes }
    index = await openRecordIndex({ directory: lock.directory, format, onWarning })
    slab = await openSlab({ ...options, path: join(lock.directory, 'spill.slab') })
    const loaded = await loadEntries(index, slab, onWarning)
    return createTier({ options, index, slab, ...loaded, releaseLock, onWarning })
  } catch (error) {
    await slab?.close()
    await index?.close()
    releaseLock()
    throw error
  }
}

/** What is kept of a record in memory: where its bytes are, and how they are checked. */
interface Kept extends RecordKey {
  readonly sizeBytes: number
  readonly crc32s: Crc32s
  readonly runs: readonly SlotRun[]
}

type Entries = Map<string, Kept>

const kinds: readonly RecordKind[] = ['kv', 'window', 'state']

/** Most records are rows: their name is the block's, which exists already. */
function nameOf({ hash, kind }: RecordKey): string {
  return kind === 'kv' ? hash : `${hash} ${kind}`
}

function keptOf({ record, runs }: Entry): Kept {
  const { hash, kind, sizeBytes, crc32s } = record
  return { hash, kind, sizeBytes, crc32s, runs }
}

interface Loaded {
  readonly entries: Entries
  readonly records: readonly StoredRecord[]
}

/** Marks the slots of every record; drops records that are unreadable or lie beyond the slab. */
async function loadEntries(
  index: RecordIndex,
  slab: Slab,
  onWarning: (message: string) => void,
): Promise<Loaded> {
  const entries: Entries = new Map()
  const records: StoredRecord[] = []
  const dropped: Entry[] = []
  const unreadable: Buffer[] = []
  for (const { key, entry } of index.entries(createEntryDecoder())) {
    if (entry === null) {
      unreadable.push(key)
    } else if (slab.claim(entry.runs)) {
      entries.set(nameOf(entry.record), keptOf(entry))
      records.push(entry.record)
    } else {
      dropped.push(entry)
    }
  }
  if (dropped.length + unreadable.length > 0) {
    onWarning(
      `${dropped.length + unreadable.length} records of the SSD tier were dropped: ` +
        `${dropped.length} lie beyond the slab file, ${unreadable.length} have damaged entries.`,
    )
    const kept = new Set(records.map((record) => record.hash))
    const hashes = dropped.map((entry) => entry.record.hash).filter((hash) => !kept.has(hash))
    await index.removeRaw(unreadable)
    await index.commit({ remove: dropped.map((entry) => entry.record), forget: hashes })
  }
  return { entries, records }
}

interface TierParts extends Loaded {
  readonly options: SsdTierOptions
  readonly index: RecordIndex
  readonly slab: Slab
  readonly releaseLock: () => void
  readonly onWarning: (message: string) => void
}

function createTier(parts: TierParts): SsdTier {
  const { slab, index, entries } = parts
  const ledger = createLedger(parts)
  const uses = createUses(parts, ledger)
  const underWay = new Set<Promise<unknown>>()
  /** As they were read at open, for whoever asks first. */
  let unasked: readonly StoredRecord[] | null = parts.records
  let closing: Promise<void> | null = null
  let readBytes = 0
  let writtenBytes = 0

  /** Operations that have begun are waited for by `close`; later ones are refused. */
  function track<T>(operation: () => Promise<T>): Promise<T> {
    if (closing !== null) return Promise.reject(ioError('The SSD tier is closed.', undefined))
    const promise = operation()
    const settled = promise.catch(() => {}).then(() => void underWay.delete(settled))
    underWay.add(settled)
    return promise
  }

  async function write(...[record, tokens, bytes]: Parameters<SsdTier['write']>) {
    checkShape(record, bytes)
    // Some models keep nothing for each token: such a record names tokens, and has no slots.
    const runs = bytes.length === 0 ? [] : await slab.allocate(slotsFor(record.sizeBytes))
    try {
      if (bytes.length > 0) await slab.write(runs, bytes)
      await ledger.commit([record], { put: { entry: { record, runs }, tokens } })
    } catch (error) {
      slab.release(runs)
      throw error
    }
    writtenBytes += bytes.length
  }

  async function read(key: RecordKey, into: Uint8Array): Promise<void> {
    const entry = entries.get(nameOf(key))
    if (entry === undefined) {
      throw corrupt(`The record ${nameOf(key)} is not in the SSD tier.`)
    }
    checkShape(entry, into)
    if (into.length === 0) return
    await slab.read(entry.runs, into, (from, to) => checkCrcs(entry, into, from, to))
    readBytes += into.length
  }

  async function shutDown(): Promise<void> {
    await Promise.all(underWay)
    await uses.stop()
    try {
      await index.close()
    } finally {
      await slab.close()
      parts.releaseLock()
    }
  }

  return {
    usage: () => ({
      usedBytes: slab.usedBytes,
      capacityBytes: slab.capacityBytes,
      records: entries.size,
      readBytes,
      writtenBytes,
      directIo: slab.directIo,
    }),
    *records() {
      const records = unasked ?? readAgain(index, entries)
      unasked = null
      yield* records
    },
    tokens: (hash) => index.tokens(hash),
    allocatedBytes: (sizeBytes) => slotsFor(sizeBytes) * slotBytes,
    freeBytes: () => slab.freeBytes,
    write: (...given) => track(() => write(...given)),
    read: (key, into) => track(() => read(key, into)),
    remove: (keys) =>
      track(async () => {
        const left = await ledger.commit(keys, {})
        return left.reduce((sum, entry) => sum + bytesOf(entry), 0)
      }),
    quarantine: (key) => track(async () => void (await ledger.commit([key], {}, false))),
    touch: uses.touch,
    notes: () => index.notes(),
    note: (namespace, text) => track(() => index.note(namespace, text)),
    close() {
      closing ??= shutDown()
      return closing
    },
  }
}

function* readAgain(index: RecordIndex, entries: Entries): Generator<StoredRecord> {
  for (const { entry } of index.entries(createEntryDecoder())) {
    if (entry !== null && entries.has(nameOf(entry.record))) yield entry.record
  }
}

interface Ledger {
  /** Is any record of this block stored, or about to be? */
  holds(hash: BlockHash): boolean
  /**
   * Removes the keys and applies the change in one transaction. The slots of what was removed are
   * free afterwards, unless told otherwise. Resolves with what was removed.
   */
  commit(leaving: readonly RecordKey[], change: IndexChange, free?: boolean): Promise<Kept[]>
}

/** The map in memory, kept equal to LMDB: removed before the commit, added after it. */
function createLedger({ index, slab, entries }: TierParts): Ledger {
  /** Records whose commit is under way, by block. */
  const arrivals = new Map<BlockHash, number>()

  function count(hash: BlockHash, by: number): void {
    const now = (arrivals.get(hash) ?? 0) + by
    if (now > 0) arrivals.set(hash, now)
    else arrivals.delete(hash)
  }

  const holds = (hash: BlockHash): boolean =>
    kinds.some((kind) => entries.has(nameOf({ hash, kind }))) || arrivals.has(hash)

  /** Whoever takes an entry out owns its slots, so that they cannot be freed twice. */
  function take(keys: readonly RecordKey[]): Kept[] {
    const taken: Kept[] = []
    for (const key of keys) {
      const entry = entries.get(nameOf(key))
      if (entry === undefined) continue
      entries.delete(nameOf(key))
      taken.push(entry)
    }
    return taken
  }

  const put = (entry: Kept) => entries.set(nameOf(entry), entry)

  return {
    holds,
    async commit(keys, change, free = true) {
      const leaving = take(keys)
      const arriving = change.put === undefined ? null : keptOf(change.put.entry)
      if (leaving.length === 0 && arriving === null) return []
      if (arriving !== null) count(arriving.hash, 1)
      const forget = leaving.map((entry) => entry.hash).filter((hash) => !holds(hash))
      try {
        await index.commit({ ...change, remove: leaving, forget })
      } catch (cause) {
        for (const entry of leaving) put(entry)
        throw commitError(cause)
      } finally {
        if (arriving !== null) count(arriving.hash, -1)
      }
      if (arriving !== null) put(arriving)
      if (free) for (const entry of leaving) slab.release(entry.runs)
      return leaving
    },
  }
}

interface Uses {
  touch(hash: BlockHash, atMs: number): void
  /** Writes what was collected; later touches are ignored. */
  stop(): Promise<void>
}

/** A use is worth no commit of its own: the latest of each block go together, every few seconds. */
function createUses({ index, options, onWarning }: TierParts, ledger: Ledger): Uses {
  const collected = new Map<BlockHash, number>()
  let timer: NodeJS.Timeout | null = null
  let flushing = Promise.resolve()
  let stopped = false

  function flush(): Promise<void> {
    timer = null
    flushing = flushing.then(commitCollected)
    return flushing
  }

  async function commitCollected(): Promise<void> {
    const uses = new Map([...collected].filter(([hash]) => ledger.holds(hash)))
    collected.clear()
    if (uses.size === 0) return
    try {
      await index.commit({ uses })
    } catch (error) {
      // Only the order of eviction after a restart suffers.
      onWarning(`The last uses of ${uses.size} blocks could not be written: ${error}`)
    }
  }

  return {
    touch(hash, atMs) {
      if (stopped || !ledger.holds(hash)) return
      collected.set(hash, atMs)
      timer ??= setTimeout(flush, options.usesFlushMs ?? 2_000).unref()
    },
    async stop() {
      stopped = true
      if (timer !== null) clearTimeout(timer)
      await flush()
    },
  }
}

function slotsFor(sizeBytes: number): number {
  return Math.ceil(sizeBytes / slotBytes)
}

function bytesOf(entry: Kept): number {
  return entry.runs.reduce((sum, run) => sum + run.count, 0) * slotBytes
}

type Checked = RecordKey & Pick<StoredRecord, 'sizeBytes' | 'crc32s'>

function checkShape({ sizeBytes, crc32s }: Checked, bytes: Uint8Array): void {
  const viewBytes = Math.ceil(sizeBytes / ioUnitBytes) * ioUnitBytes
  if (bytes.length !== viewBytes || crc32s.length !== slotsFor(sizeBytes)) {
    throw new RangeError(
      `a record of ${sizeBytes} bytes needs a view of ${viewBytes} bytes and ` +
        `${slotsFor(sizeBytes)} checksums; got ${bytes.length} and ${crc32s.length}`,
    )
  }
}

/** One checksum for each MiB, which is also the size of a slot. */
function checkCrcs(record: Checked, bytes: Uint8Array, from: number, to: number): void {
  const end = Math.min(to, record.sizeBytes)
  for (let at = from; at < end; at += slotBytes) {
    const found = crc32(bytes.subarray(at, Math.min(at + slotBytes, end)))
    if (found === record.crc32s[at / slotBytes]) continue
    throw corrupt(`MiB ${at / slotBytes} of the record ${nameOf(record)} has a wrong checksum.`)
  }
}

function corrupt(message: string): CacheError {
  return new CacheError('PREFIXD_E_CACHE_CORRUPT', message)
}

function ioError(message: string, cause: unknown): CacheError {
  return new CacheError('PREFIXD_E_CACHE_IO', message, { cause })
}

function commitError(cause: unknown): CacheError {
  if (String(cause).includes('No space left')) {
    return new CacheError('PREFIXD_E_CACHE_FULL', `The disk has no room for the index: ${cause}`, {
      cause,
    })
  }
  return ioError(`Committing to the index failed: ${cause}`, cause)
}

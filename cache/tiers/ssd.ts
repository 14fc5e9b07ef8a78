/**
 * The SSD tier: records in slots of the slab, and LMDB as the authority on which of them exist. The
 * bytes are written first and the entry after them, the entry is removed first and the slots are
 * reused after it; so a process that dies at any moment leaves nothing to repair.
 */
import { join } from 'node:path'
import { CacheError } from '../errors.ts'
import type { BlockHash, RecordKind } from '../types.ts'
import { createByteWrites } from './byte-writes.ts'
import { type DirectoryLock, lockDirectory } from './directory-lock.ts'
import { diskUsage } from './disk-room.ts'
import { examineLive } from './live-examination.ts'
import { createEntryDecoder, type Entry, formatVersion } from './record-format.ts'
import { type IndexChange, openRecordIndex, type RecordIndex } from './record-index.ts'
import { openSlab, type Slab, slotBytes } from './slab.ts'
import type { SlabIo } from './slab-file.ts'
import type { SlotRun } from './slots.ts'
import {
  checkShape,
  corrupt,
  type Kept,
  keptOf,
  nameOf,
  readChecked,
  slotsFor,
} from './stored-bytes.ts'
import type {
  Examined,
  ExamineOptions,
  RecordKey,
  SsdTier,
  SsdTierOnDisk,
  StoredRecord,
} from './tier.ts'
import { createUses } from './uses.ts'

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
  /** 32 bytes: payloads and token ids are encrypted. Null: they are not. */
  readonly encryptionKey?: Uint8Array | null
  /** How long uses are collected before they are written. */
  readonly usesFlushMs?: number
  /** The lock of the directory, when the caller holds it already; otherwise the tier takes it. */
  readonly lock?: DirectoryLock
  /** Something was lost or set aside, in a sentence for people. */
  readonly onWarning?: (message: string) => void
  /** Tests make faults here. */
  readonly io?: Partial<SlabIo>
  readonly openIndex?: typeof openRecordIndex
}

/**
 * Opens the tier, with the index of an earlier run; no payload is read. Rejects with
 * `PREFIXD_E_CACHE_LOCKED`, `…_DIRECTORY`, `…_FORMAT` or `…_KEY`.
 */
export async function openSsdTier(options: SsdTierOptions): Promise<SsdTierOnDisk> {
  const lock = options.lock ?? lockDirectory(options.directory)
  const releaseLock = () => {
    if (options.lock === undefined) lock.release()
  }
  const onWarning = options.onWarning ?? (() => {})
  let index: RecordIndex | null = null
  let slab: Slab | null = null
  try {
    const format = { version: formatVersion, slotBytes }
    const openIndex = options.openIndex ?? openRecordIndex
    const { encryptionKey = null } = options
    const given = { directory: lock.directory, format, encryptionKey, onWarning }
    index = await openIndex({ ...given, older: 'set aside' })
    // What lies there without an entry may be of an earlier store, which was not encrypted.
    const startsEmpty = index.sealing !== null && index.recordCount === 0
    slab = await openSlab({ ...options, startsEmpty, path: join(lock.directory, 'spill.slab') })
    const loaded = await loadEntries(index, slab, onWarning)
    // A file that was larger before loses its free end.
    slab.resize(options.capacityBytes)
    return createTier({ options, index, slab, ...loaded, releaseLock, onWarning })
  } catch (error) {
    await slab?.close()
    await index?.close()
    releaseLock()
    throw error
  }
}

type Entries = Map<string, Kept>

const kinds: readonly RecordKind[] = ['kv', 'window', 'state']

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

function createTier(parts: TierParts): SsdTierOnDisk {
  const { slab, index, entries } = parts
  const source = { slab, sealing: index.sealing }
  const writeBytes = createByteWrites(source, parts.options.writesInFlight)
  const ledger = createLedger(parts)
  const { onWarning } = parts
  const flushMs = parts.options.usesFlushMs ?? 2_000
  const uses = createUses({ index, holds: ledger.holds, flushMs, onWarning })
  const underWay = new Set<Promise<unknown>>()
  /** Steps of examinations: `close` waits for them, and they wait for all the others. */
  const steps = new Set<Promise<unknown>>()
  /** As they were read at open, for whoever asks first. */
  let unasked: readonly StoredRecord[] | null = parts.records
  let closing: Promise<void> | null = null
  let readBytes = 0
  let writtenBytes = 0

  /** Operations that have begun are waited for by `close`; later ones are refused. */
  function track<T>(operation: () => Promise<T>, among = underWay): Promise<T> {
    if (closing !== null) return Promise.reject(closed())
    const promise = operation()
    const settled = promise.catch(() => {}).then(() => void among.delete(settled))
    among.add(settled)
    return promise
  }

  async function write(...[record, tokens, bytes, writes]: Parameters<SsdTier['write']>) {
    checkShape(record, bytes)
    // Some models keep nothing for each token: such a record names tokens, and has no slots.
    const runs = bytes.length === 0 ? [] : await slab.allocate(slotsFor(record.sizeBytes))
    ledger.heldRuns.add(runs)
    try {
      const entry = await writeBytes({ record, runs }, bytes)
      await ledger.commit([record], {
        put: { entry, tokens },
        ...(writes === undefined ? {} : { writes }),
      })
    } catch (error) {
      slab.release(runs)
      throw error
    } finally {
      ledger.heldRuns.delete(runs)
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
    await readChecked(source, entry, into)
    readBytes += into.length
  }

  const quarantine = (key: RecordKey): Promise<void> =>
    track(async () => void (await ledger.commit([key], {}, false)))

  async function* examine(given: ExamineOptions): AsyncGenerator<Examined> {
    const settled = async () => void (await Promise.all(underWay))
    const { holds, heldRuns } = ledger
    const live = { index, slab, entries, holds, heldRuns, settled, quarantine }
    const walk = examineLive(live, {
      ...given,
      turn: () => (closing === null ? given.turn() : Promise.reject(closed())),
    })
    for (;;) {
      const step = await track(() => walk.next(), steps)
      if (step.done) return
      yield step.value
    }
  }

  async function shutDown(): Promise<void> {
    await Promise.all([...underWay, ...steps])
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
      budgetBytes: slab.budgetBytes,
      capacityBytes: slab.capacityBytes,
      fileBytes: slab.fileBytes,
      records: entries.size,
      readBytes,
      writtenBytes,
      directIo: slab.directIo,
      disk: diskUsage(slab.room, slab.fileBytes >= slab.budgetBytes),
    }),
    look: slab.room.look,
    *records() {
      const records = unasked ?? readAgain(index, entries)
      unasked = null
      yield* records
    },
    tokens: (hash) => index.tokens(hash),
    damagedTokens: (hash) => index.damagedTokens(hash),
    writes: () => index.writes(),
    allocatedBytes: (sizeBytes) => slotsFor(sizeBytes) * slotBytes,
    freeBytes: () => slab.freeBytes,
    resize: slab.resize,
    isBehind: (key) => slab.isBehind(entries.get(nameOf(key))?.runs ?? []),
    write: (...given) => track(() => write(...given)),
    read: (key, into) => track(() => read(key, into)),
    remove: (keys) =>
      track(async () => {
        const left = await ledger.commit(keys, {})
        return left.reduce((sum, entry) => sum + bytesOf(entry), 0)
      }),
    quarantine,
    examine,
    touch: uses.touch,
    notes: () => index.notes(),
    note: (namespace, text) => track(() => index.note(namespace, text)),
    pins: {
      read: () => index.pins.read(),
      write: (text) => track(() => index.pins.write(text)),
    },
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
  /** Slots in use that no entry has: of writes and removals under way, and in quarantine. */
  readonly heldRuns: Set<readonly SlotRun[]>
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
  const heldRuns = new Set<readonly SlotRun[]>()

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
      heldRuns.add(entry.runs)
      taken.push(entry)
    }
    return taken
  }

  function keep(entry: Kept): void {
    entries.set(nameOf(entry), entry)
    heldRuns.delete(entry.runs)
  }

  function free({ runs }: Kept): void {
    slab.release(runs)
    heldRuns.delete(runs)
  }

  /** LMDB still has it, unless another record of its name has come. */
  function putBack(entry: Kept): void {
    if (entries.has(nameOf(entry))) free(entry)
    else keep(entry)
  }

  return {
    heldRuns,
    holds,
    async commit(keys, change, isFree = true) {
      const leaving = take(keys)
      const arriving = change.put === undefined ? null : keptOf(change.put.entry)
      if (leaving.length === 0 && arriving === null) return []
      if (arriving !== null) count(arriving.hash, 1)
      const forget = leaving.map((entry) => entry.hash).filter((hash) => !holds(hash))
      try {
        await index.commit({ ...change, remove: leaving, forget })
      } catch (cause) {
        for (const entry of leaving) putBack(entry)
        const error = commitError(cause)
        if (error.code === 'PREFIXD_E_CACHE_FULL') slab.room.refuseWrites()
        throw error
      } finally {
        if (arriving !== null) count(arriving.hash, -1)
      }
      if (arriving !== null) {
        // A removal that has failed meanwhile has put back what this one replaces.
        for (const replaced of take([arriving])) free(replaced)
        keep(arriving)
      }
      if (isFree) for (const entry of leaving) free(entry)
      return leaving
    },
  }
}

function bytesOf(entry: Kept): number {
  return entry.runs.reduce((sum, run) => sum + run.count, 0) * slotBytes
}

const closed = (): CacheError => ioError('The SSD tier is closed.', undefined)

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

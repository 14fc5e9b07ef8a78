/**
 * The verification of a directory that no service has open. It changes nothing unless it repairs:
 * opening it as a service does would take out what it should report.
 */
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import xxhash from 'xxhash-wasm'
import { rootHash } from './chain.ts'
import { CacheError } from './errors.ts'
import { type DirectoryLock, lockDirectory } from './tiers/directory-lock.ts'
import { examineRecords, type Judged } from './tiers/examine.ts'
import { indexDamage } from './tiers/index-file.ts'
import { createEntryDecoder, type Entry, formatVersion } from './tiers/record-format.ts'
import { openRecordIndex, type RecordIndex } from './tiers/record-index.ts'
import { openSlab, type Slab, slotBytes } from './tiers/slab.ts'
import type { RecordKey } from './tiers/tier.ts'
import type { BlockHash, Finding, Hash64, VerifyEvent } from './types.ts'
import { createTally, type VerifyTally } from './verify-tally.ts'

export interface VerifyDirectoryOptions {
  readonly directory: string
  /** Take out what is damaged, with all that depends on it. */
  readonly repair: boolean
  readonly readsInFlight: number
  /** Of an encrypted store. */
  readonly encryptionKey?: Uint8Array | null
  readonly warn: (message: string) => void
}

/**
 * Rejects with `PREFIXD_E_CACHE_LOCKED` where a service has the directory, and as `openCache` does.
 */
export async function* verifyDirectory(
  options: VerifyDirectoryOptions,
): AsyncGenerator<VerifyEvent> {
  const { directory } = options
  if (!existsSync(join(directory, 'index.mdb'))) {
    throw new CacheError(
      'PREFIXD_E_CACHE_DIRECTORY',
      `There is nothing stored in ${directory}. Name the directory of the service with --dir.`,
    )
  }
  const lock = lockDirectory(directory)
  try {
    const damage = await indexDamage(lock.directory)
    if (damage !== null) yield* damagedIndex(options, lock, damage)
    else yield* verifyOpened(options, lock)
  } finally {
    lock.release()
  }
}

/** Nothing is known of any record then. A repair sets the index aside, as a start does. */
async function* damagedIndex(
  options: VerifyDirectoryOptions,
  lock: DirectoryLock,
  damage: string,
): AsyncGenerator<VerifyEvent> {
  const { repair } = options
  const tally = createTally(0)
  const what = `the index cannot be read (${damage}): nothing that it named can be found`
  yield tally.found({ kind: 'index', hash: null, record: null, what, mended: repair })
  if (repair) await (await openIndex(lock, options)).close()
  yield tally.done()
}

function openIndex(
  { directory }: DirectoryLock,
  { encryptionKey = null, warn: onWarning }: VerifyDirectoryOptions,
): Promise<RecordIndex> {
  const format = { version: formatVersion, slotBytes }
  return openRecordIndex({ directory, format, encryptionKey, onWarning })
}

async function* verifyOpened(
  options: VerifyDirectoryOptions,
  lock: DirectoryLock,
): AsyncGenerator<VerifyEvent> {
  const { h64Raw } = await xxhash()
  const hash64 = (bytes: Uint8Array): bigint => h64Raw(bytes)
  const index = await openIndex(lock, options)
  let slab: Slab | null = null
  try {
    slab = await openWhole(lock.directory, options.readsInFlight)
    yield* verifyStore({ index, slab, hash64, repair: options.repair })
  } finally {
    await slab?.close()
    await index.close()
  }
}

/** As long as the file is: a shorter one would be cut. */
function openWhole(directory: string, readsInFlight: number): Promise<Slab> {
  const path = join(directory, 'spill.slab')
  const fileBytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  const capacityBytes = Math.max(1, Math.ceil(fileBytes / slotBytes)) * slotBytes
  const growth = { stepBytes: slotBytes, freeDiskFloorBytes: 0 }
  return openSlab({ path, capacityBytes, readsInFlight, writesInFlight: 1, ...growth })
}

interface Store {
  readonly index: RecordIndex
  readonly slab: Slab
  readonly hash64: Hash64
  readonly repair: boolean
}

async function* verifyStore(store: Store): AsyncGenerator<VerifyEvent> {
  const { index, slab, repair } = store
  const tally = createTally(index.recordCount)
  const records = examineRecords({
    ...store,
    turn: async () => {},
    isCurrent: () => true,
    vet: ({ runs }) =>
      slab.claim(runs)
        ? null
        : { kind: 'slots', what: 'its slots are another record’s, or behind the end of the slab' },
  })
  const damaged: Judged[] = []
  for await (const judged of records) {
    if (judged.damage !== null) {
      damaged.push(judged)
      yield tally.found(shown(judged, repair))
    }
    if (judged.entry !== null) yield* tally.looked(judged.entry.record.sizeBytes)
  }
  const strays = index.strays()
  if (repair) await takeOut(store, damaged, tally)
  if (strays.length > 0) {
    const what = `${strays.length} blocks have token ids or uses, and no record`
    if (repair) await index.commit({ forget: strays })
    yield tally.found({ kind: 'leak', hash: null, record: null, what, mended: repair })
  }
  yield tally.done()
}

function shown({ key, damage }: Judged, mended: boolean): Finding {
  const { kind = 'entry', what = '' } = damage ?? {}
  return { kind, hash: key?.hash ?? null, record: key?.kind ?? null, what, mended }
}

/** The damaged records, what stands behind their rows, and what is exact at their boundaries. */
async function takeOut(
  { index, hash64 }: Store,
  damaged: readonly Judged[],
  tally: VerifyTally,
): Promise<void> {
  if (damaged.length === 0) return
  const unreadable = damaged.filter(({ entry }) => entry === null)
  const cut = new Set<BlockHash>()
  const left = new Set<BlockHash>()
  for (const { key } of damaged) if (key !== null) (key.kind === 'kv' ? cut : left).add(key.hash)
  const entries = readable(index)
  const goes = createVerdicts(entries, cut, hash64)
  const remove: RecordKey[] = []
  const stays = new Set<BlockHash>()
  for (const { record } of entries) {
    const { hash, kind } = record
    if (goes(hash) || (kind !== 'kv' && left.has(hash))) remove.push({ hash, kind })
    else stays.add(hash)
  }
  const gone = new Set(
    [...remove, ...unreadable.flatMap(({ key }) => key ?? [])].map((it) => it.hash),
  )
  const forget = [...gone].filter((hash) => !stays.has(hash))
  await index.removeRaw(unreadable.map(({ rawKey }) => rawKey))
  await index.commit({ remove, forget })
  tally.removed(remove.length + unreadable.length)
}

function readable(index: RecordIndex): Entry[] {
  return [...index.entries(createEntryDecoder())].flatMap(({ entry }) => entry ?? [])
}

/** Is this block cut, or does it stand behind one that is, or behind none? */
function createVerdicts(
  entries: readonly Entry[],
  cut: ReadonlySet<BlockHash>,
  hash64: Hash64,
): (hash: BlockHash) => boolean {
  const parents = new Map<BlockHash, BlockHash>()
  const verdicts = new Map<BlockHash, boolean>()
  for (const { record } of entries) {
    if (record.kind !== 'kv') continue
    parents.set(record.hash, record.parent)
    verdicts.set(rootHash(hash64, record.namespace), false)
  }
  return (hash) => {
    const way: BlockHash[] = []
    let at = hash
    // A chain that ends nowhere, or in itself, is cut.
    while (verdicts.get(at) === undefined) {
      way.push(at)
      const parent = cut.has(at) || way.length > parents.size ? undefined : parents.get(at)
      if (parent === undefined) verdicts.set(at, true)
      else at = parent
    }
    const verdict = verdicts.get(at) as boolean
    for (const passed of way) verdicts.set(passed, verdict)
    return verdict
  }
}

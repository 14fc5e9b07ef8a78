/**
 * The examination of a tier that is in use: what LMDB has is compared with what the tier knows, and
 * slots that nobody uses are found in one look, between two operations.
 *
 * Entries that LMDB has lost come first: once they are there again, nobody takes what stands on
 * them for orphans.
 */
import type { BlockHash } from '../types.ts'
import { type Damage, examineRecords, type Judged } from './examine.ts'
import { createEntryDecoder, type Entry, encodeKey } from './record-format.ts'
import type { RecordIndex } from './record-index.ts'
import type { Slab } from './slab.ts'
import type { SlotRun } from './slots.ts'
import { type Kept, keptOf, nameOf } from './stored-bytes.ts'
import type { Examined, ExamineOptions, RecordKey, TierFinding } from './tier.ts'

export interface LiveTier {
  readonly index: RecordIndex
  readonly slab: Slab
  readonly entries: ReadonlyMap<string, Kept>
  /** Slots that no entry has and that are in use all the same: of writes, removals, quarantine. */
  readonly heldRuns: ReadonlySet<readonly SlotRun[]>
  /** Is any record of this block stored, or about to be? */
  readonly holds: (hash: BlockHash) => boolean
  /** Resolves when all that is under way now has ended. */
  readonly settled: () => Promise<void>
  readonly quarantine: (key: RecordKey) => Promise<void>
}

export async function* examineLive(
  tier: LiveTier,
  options: ExamineOptions,
): AsyncGenerator<Examined> {
  for await (const finding of lostEntries(tier, options)) yield { sizeBytes: null, finding }
  const unknown: Buffer[] = []
  const records = examineRecords({
    ...options,
    index: tier.index,
    slab: tier.slab,
    isCurrent: (entry) => isKept(tier, entry),
    vet(entry) {
      const kept = tier.entries.get(nameOf(entry.record))
      if (kept !== undefined) return isKept(tier, entry) ? null : differs
      unknown.push(encodeKey(entry.record))
      return 'skip'
    },
  })
  for await (const judged of records) {
    if (judged.entry === null && isKnown(tier, judged.key)) continue
    yield { sizeBytes: judged.entry?.record.sizeBytes ?? null, finding: findingOf(tier, judged) }
  }
  await tier.settled()
  for (const finding of [...unknownEntries(tier, unknown), ...strayTokens(tier)]) {
    yield { sizeBytes: null, finding }
  }
  const leak = await leakedSlots(tier)
  if (leak !== null) yield { sizeBytes: null, finding: leak }
}

const entriesAtOnce = 256

/** What the tier knows and a start would not find: LMDB has no entry of it, or a damaged one. */
async function* lostEntries(tier: LiveTier, { turn }: ExamineOptions): AsyncGenerator<TierFinding> {
  const decoder = createEntryDecoder()
  const lostNow = (kept: Kept): string | null => {
    if (tier.entries.get(nameOf(kept)) !== kept) return null
    const entry = tier.index.entry(decoder, encodeKey(kept))
    if (entry === undefined) return 'its entry in the index is missing'
    return entry === null ? 'its entry in the index is damaged' : null
  }
  for (const [at, kept] of [...tier.entries.values()].entries()) {
    if (at % entriesAtOnce === 0) await turn()
    if (lostNow(kept) === null) continue
    // Unless it was about to be written.
    await tier.settled()
    const what = lostNow(kept)
    const { hash, kind } = kept
    const key = { hash, kind }
    if (what !== null) yield { kind: 'entry', key, what, mend: () => tier.quarantine(key) }
  }
}

const isKnown = ({ entries }: LiveTier, key: RecordKey | null): boolean =>
  key !== null && entries.has(nameOf(key))

const differs: Damage = { kind: 'memory', what: 'the service has other slots or sums in memory' }

function isKept({ entries }: LiveTier, entry: Entry): boolean {
  const kept = entries.get(nameOf(entry.record))
  return kept !== undefined && imprint(kept) === imprint(keptOf(entry))
}

const imprint = ({ sizeBytes, crc32s, runs, seals = noSeals }: Kept): string =>
  [sizeBytes, ...crc32s, ...runs.flatMap(({ first, count }) => [first, count]), ...seals].join()

const noSeals = new Uint8Array(0)

function findingOf(tier: LiveTier, { rawKey, key, damage }: Judged): TierFinding | null {
  if (damage === null) return null
  const mend = () =>
    key !== null && isKnown(tier, key) ? tier.quarantine(key) : tier.index.removeRaw([rawKey])
  return { ...damage, key, mend }
}

/** Entries that the tier did not know when they were met, and does not know now. */
function unknownEntries(tier: LiveTier, keys: readonly Buffer[]): TierFinding[] {
  const decoder = createEntryDecoder()
  const what = 'the index has it, and the service does not know it'
  return keys.flatMap((rawKey) => {
    const entry = tier.index.entry(decoder, rawKey)
    if (entry === undefined || entry === null || tier.holds(entry.record.hash)) return []
    return [{ kind: 'memory', key: null, what, mend: () => tier.index.removeRaw([rawKey]) }]
  })
}

function strayTokens(tier: LiveTier): TierFinding[] {
  const strays = tier.index.strays().filter((hash) => !tier.holds(hash))
  if (strays.length === 0) return []
  const what = `${strays.length} blocks have token ids or uses, and no record`
  const mend = () => tier.index.commit({ forget: strays.filter((hash) => !tier.holds(hash)) })
  return [{ kind: 'leak', key: null, what, mend }]
}

/**
 * In a turn of its own: then no operation stands between the taking of slots and the note of it.
 */
async function leakedSlots(tier: LiveTier): Promise<TierFinding | null> {
  const leaked = await inOwnTurn(() => unusedRuns(tier))
  const count = slotCount(leaked)
  if (count === 0) return null
  const what = `${count} slots of the slab are taken, and no record has them`
  const mend = () => inOwnTurn(() => tier.slab.release(unusedRuns(tier)))
  return { kind: 'leak', key: null, what, mend }
}

function unusedRuns({ slab, entries, heldRuns }: LiveTier): SlotRun[] {
  const used = new Set<number>()
  const use = (runs: readonly SlotRun[]): void => {
    for (const { first, count } of runs) for (let i = 0; i < count; i++) used.add(first + i)
  }
  for (const { runs } of entries.values()) use(runs)
  for (const runs of heldRuns) use(runs)
  const unused: SlotRun[] = []
  for (const { first, count } of slab.taken()) {
    for (let slot = first; slot < first + count; slot++) {
      if (!used.has(slot)) unused.push({ first: slot, count: 1 })
    }
  }
  return unused
}

const slotCount = (runs: readonly SlotRun[]): number =>
  runs.reduce((sum, { count }) => sum + count, 0)

const inOwnTurn = <T>(run: () => T): Promise<T> =>
  new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        resolve(run())
      } catch (error) {
        reject(error)
      }
    })
  })

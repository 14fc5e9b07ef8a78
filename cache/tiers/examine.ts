/**
 * Looks at everything that an SSD tier has: entries, slots, token ids, parents and all bytes. Reads
 * only, a piece at a time; whoever owns the tier says what it knows of an entry itself.
 */
import { blockHash, rootHash } from '../chain.ts'
import { CacheError } from '../errors.ts'
import type { FindingKind } from '../types.ts'
import { mapPrivate } from './libc.ts'
import {
  createEntryDecoder,
  decodeKey,
  type Entry,
  type EntryDecoder,
  encodeKey,
} from './record-format.ts'
import type { RecordIndex } from './record-index.ts'
import { type Slab, slotBytes } from './slab.ts'
import { checkBytes, keptOf } from './stored-bytes.ts'
import type { ExamineOptions, RecordKey } from './tier.ts'

export interface Damage {
  readonly kind: FindingKind
  readonly what: string
}

/** One key of LMDB, looked at. */
export interface Judged {
  readonly rawKey: Buffer
  /** Null where the key names no record. */
  readonly key: RecordKey | null
  /** Null where it cannot be read. */
  readonly entry: Entry | null
  readonly damage: Damage | null
}

export interface Examination extends ExamineOptions {
  readonly index: RecordIndex
  readonly slab: Slab
  /** What the owner says of an entry; null: it is as it should be, `skip`: it comes or goes. */
  readonly vet: (entry: Entry) => Damage | 'skip' | null
  /** Is it still what it was when it was looked at? */
  readonly isCurrent: (entry: Entry) => boolean
}

const keysAtOnce = 256
/** As long as the slab's own pieces. */
const scratchBytes = 4 * slotBytes

/** Every record that is there from the beginning to the end, in the order of hashes. */
export async function* examineRecords(it: Examination): AsyncGenerator<Judged> {
  const scratch = new Uint8Array(mapPrivate(scratchBytes).buffer)
  const decoder = createEntryDecoder()
  for (let after: Buffer | null = null; ; ) {
    const keys: Buffer[] = it.index.keys(after, keysAtOnce)
    for (const rawKey of keys) {
      const entry = it.index.entry(decoder, rawKey)
      if (entry === undefined) continue
      const damage = await damageOf(it, entry, { decoder, scratch })
      if (damage !== 'skip') yield { rawKey, key: decodeKey(rawKey), entry, damage }
    }
    const last = keys.at(-1)
    if (last === undefined) return
    after = last
  }
}

interface Tools {
  readonly decoder: EntryDecoder
  readonly scratch: Uint8Array
}

async function damageOf(
  it: Examination,
  entry: Entry | null,
  { decoder, scratch }: Tools,
): Promise<Damage | 'skip' | null> {
  if (entry === null) return { kind: 'entry', what: 'its entry in the index is damaged' }
  const verdict = it.vet(entry)
  if (verdict !== null) return verdict
  const known = misplaced(it, entry, decoder) ?? misnamed(it, entry)
  if (known !== null) return known
  let refusal: unknown = null
  const turn = async (): Promise<void> => {
    try {
      await it.turn()
    } catch (error) {
      refusal = error
      throw error
    }
  }
  try {
    const source = { slab: it.slab, sealing: it.index.sealing }
    await checkBytes(source, keptOf(entry), scratch, turn)
  } catch (error) {
    if (error === refusal) throw error
    // Its slots may have been given to another record while they were read.
    return it.isCurrent(entry) ? unreadable(error) : 'skip'
  }
  return null
}

function unreadable(error: unknown): Damage {
  if (!(error instanceof CacheError)) throw error
  const kind = error.code === 'PREFIXD_E_CACHE_CORRUPT' ? 'checksum' : 'unreadable'
  return { kind, what: error.message.replace(/\.$/, '') }
}

/** Does it stand behind something that is stored, in the same namespace and at the next index? */
function misplaced(it: Examination, { record }: Entry, decoder: EntryDecoder): Damage | null {
  const orphan = (what: string): Damage => ({ kind: 'orphan', what })
  const { hash, kind, parent, namespace, blockIndex } = record
  const entryOf = (of: RecordKey) => it.index.entry(decoder, encodeKey(of))
  if (kind !== 'kv' && !entryOf({ hash, kind: 'kv' })) return orphan('its block has no rows')
  if (blockIndex === 0) {
    const isRoot = parent === rootHash(it.hash64, namespace)
    return isRoot ? null : orphan('it is a first block, and its parent is not its namespace')
  }
  const before = entryOf({ hash: parent, kind: 'kv' })?.record
  if (before === undefined) return orphan(`its parent ${parent} is not stored`)
  const isNext = before.namespace === namespace && before.blockIndex === blockIndex - 1
  return isNext
    ? null
    : orphan(`its parent ${parent} is another namespace's, or not the one before`)
}

/** Are its token ids those that its name was made of? */
function misnamed(it: Examination, { record }: Entry): Damage | null {
  const wrong = (what: string): Damage => ({ kind: 'tokens', what })
  const tokens = it.index.tokens(record.hash)
  if (tokens === null) return wrong('its token ids are missing, or do not open with the key')
  if (tokens.length !== record.tokenCount) {
    return wrong(`it has ${tokens.length} token ids instead of ${record.tokenCount}`)
  }
  const isRight = blockHash(it.hash64, record.parent, tokens) === record.hash
  return isRight ? null : wrong('its token ids do not give its hash')
}

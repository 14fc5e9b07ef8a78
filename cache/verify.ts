/**
 * Looks at everything that is stored while the service runs: each record of the SSD tier, then each
 * copy in the arena. Requests go first. Where a repair is wanted, what is damaged on the SSD is
 * written again from a right copy in RAM; without one the record is taken out, with all that is of
 * no use without it.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { crc32 } from 'node:zlib'
import { blockHash } from './chain.ts'
import { mayLeaveRam } from './evict.ts'
import {
  type CachedBlock,
  type CachedRecord,
  isGone,
  type PrefixIndex,
  recordOf,
} from './prefix-index.ts'
import type { RamStore } from './ram-store.ts'
import type { SsdStore } from './ssd-store.ts'
import type { RecordKey, TierFinding } from './tiers/tier.ts'
import type { Finding, FindingKind, VerifyEvent } from './types.ts'
import type { UpkeepHost } from './upkeep.ts'
import { createTally, type VerifyTally } from './verify-tally.ts'

export interface VerifyRequest {
  /** Take out what is damaged, and free what nobody uses. */
  readonly repair: boolean
  /** How long each piece lets requests go first. */
  readonly yieldMs: number
  /** Ends it between two pieces, with the signal's reason. */
  readonly signal: AbortSignal
}

interface VerifyOptions {
  readonly repair: boolean
  /** Resolves when the next piece may be read: requests go first. */
  readonly turn: () => Promise<void>
}

/** As the crc32s of records are. */
const mebibyte = 1024 * 1024

/** Ends early, and leaves nothing half done, when its reader returns. */
export async function* verify(
  host: UpkeepHost,
  { repair, yieldMs, signal }: VerifyRequest,
): AsyncGenerator<VerifyEvent> {
  const { ram, ssd } = host
  const turn = async (): Promise<void> => {
    signal.throwIfAborted()
    await host.withoutLeases(AbortSignal.timeout(yieldMs))
  }
  const options = { repair, turn }
  const copies = ram.order.filledCount
  const tally = createTally(copies + (ssd?.tier.usage().records ?? 0))
  if (ssd !== null) yield* verifySsd(host, ssd, options, tally)
  yield* verifyRam(host, options, tally)
  if (repair) await host.flush()
  yield tally.done()
}

async function* verifySsd(
  host: UpkeepHost,
  ssd: SsdStore,
  { repair, turn }: VerifyOptions,
  tally: VerifyTally,
): AsyncGenerator<VerifyEvent> {
  for await (const { sizeBytes, finding } of ssd.tier.examine({ hash64: host.hash64, turn })) {
    if (finding !== null) {
      if (repair) tally.removed(await mend({ host, ssd, turn }, finding))
      yield tally.found(shown(finding, repair))
    }
    if (sizeBytes !== null) yield* tally.looked(sizeBytes)
  }
}

interface Mending extends Pick<VerifyOptions, 'turn'> {
  readonly host: UpkeepHost
  readonly ssd: SsdStore
}

/** Resolves with the records that went. */
async function mend(mending: Mending, { kind, key, mend }: TierFinding): Promise<number> {
  const { host } = mending
  const record = key === null ? undefined : recordNamed(host.index, key)
  if (record === undefined) {
    await mend()
    return key === null ? 0 : 1
  }
  // What is placed wrongly cannot be helped by bytes: its block, or the one before, is another's.
  if (kind !== 'orphan' && (await isRightInRam(mending, record))) {
    return writeAgain(mending, record, isElsewhere(kind) ? 'freed' : 'rest')
  }
  return discard(host, record)
}

/** Is it the index that is damaged, and not what lies in the record's slots? */
const isElsewhere = (kind: FindingKind): boolean => kind === 'entry' || kind === 'tokens'

async function isRightInRam({ host, ssd, turn }: Mending, record: CachedRecord): Promise<boolean> {
  if (record.extent === null || !isNamedByTokens(host, record.block)) return false
  const damage = await damageOf(host.ram, record, { owners: new Map(), turn })
  // It may have gone from either tier meanwhile, or be about to be replaced.
  const isInBoth = record.extent !== null && record.ssd === 'stored' && !isGone(record)
  return damage === null && isInBoth && !ssd.isOutdated(record)
}

/** Those in memory, where a prompt brought them, or else those on the SSD. */
const isNamedByTokens = ({ hash64, index }: UpkeepHost, block: CachedBlock): boolean =>
  blockHash(hash64, block.parent.hash, index.tokensOf(block)) === block.hash

/** Damaged slots rest, and what stands on the record stays. */
async function writeAgain(
  { host, ssd }: Mending,
  record: CachedRecord,
  slots: 'freed' | 'rest',
): Promise<number> {
  const needing = needingOf(host, record)
  void (slots === 'freed' ? ssd.forget([record]) : ssd.quarantine(record))
  ssd.enqueue(record, [], 'kept')
  // Until it is there again the examination would take what stands on it for orphans.
  await ssd.idle()
  // Where the disk has no room for it, what stands on it has left the disk, too.
  return record.ssd === 'stored' ? 0 : needing.filter(isGone).length
}

function recordNamed(index: PrefixIndex, { hash, kind }: RecordKey): CachedRecord | undefined {
  const block = index.get(hash)
  return block && recordOf(block, kind)
}

/** Takes it out with what needs it; returns how many records went. */
function discard(host: UpkeepHost, record: CachedRecord): number {
  const needing = needingOf(host, record)
  host.discard(record)
  return needing.filter(isGone).length
}

const needingOf = ({ index }: UpkeepHost, { block }: CachedRecord): CachedRecord[] =>
  [...index.subtree(block)].flatMap(({ records }) => records)

function shown({ kind, key, what }: TierFinding, mended: boolean): Finding {
  return { kind, hash: key?.hash ?? null, record: key?.kind ?? null, what, mended }
}

async function* verifyRam(
  host: UpkeepHost,
  { repair, turn }: VerifyOptions,
  tally: VerifyTally,
): AsyncGenerator<VerifyEvent> {
  const owners = new Map<number, CachedRecord>()
  for (const record of [...host.ram.order]) {
    const damage = await damageOf(host.ram, record, { owners, turn })
    if (damage !== null) {
      const { block, kind } = record
      if (repair) tally.removed(dropCopy(host, record, damage))
      const { what } = damage
      yield tally.found({ kind: damage.kind, hash: block.hash, record: kind, what, mended: repair })
    }
    yield* tally.looked(record.sizeBytes)
  }
}

interface RamDamage {
  readonly kind: 'checksum' | 'memory'
  readonly what: string
}

interface RamLook extends Pick<VerifyOptions, 'turn'> {
  /** Of each place of the arena, whose it is. */
  readonly owners: Map<number, CachedRecord>
}

async function damageOf(
  ram: RamStore,
  record: CachedRecord,
  { owners, turn }: RamLook,
): Promise<RamDamage | null> {
  const { extent } = record
  if (extent === null || isGone(record)) return null
  const { arena } = ram
  const other = extent.sizeBytes === 0 ? undefined : owners.get(extent.offset)
  owners.set(extent.offset, record)
  const isShared = other !== undefined && other.extent === extent
  if (isShared || (extent.sizeBytes > 0 && !arena.isCurrent(extent))) {
    return { kind: 'memory', what: 'its place in the RAM tier is not its own' }
  }
  ram.pin(record)
  try {
    for (const [i, wanted] of record.crc32s.entries()) {
      await turn()
      // Checksums are a millisecond of work each.
      await nextTurn()
      const from = i * mebibyte
      const sizeBytes = Math.min(mebibyte, extent.sizeBytes - from)
      if (crc32(arena.view(extent.offset + from, sizeBytes)) === wanted) continue
      return { kind: 'checksum', what: `MiB ${i} of its copy in RAM has a wrong checksum` }
    }
    return null
  } finally {
    ram.unpin(record)
  }
}

/** The copy on the SSD stays, where there is one and nobody reads this one just now. */
function dropCopy(host: UpkeepHost, record: CachedRecord, { kind }: RamDamage): number {
  const { ram } = host
  if (kind === 'memory') ram.disown(record)
  else if (mayLeaveRam(record)) ram.drop(record)
  const isRight = record.extent === null && record.ssd === 'stored'
  return isRight ? 0 : isGone(record) ? 1 : discard(host, record)
}

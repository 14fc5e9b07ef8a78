/**
 * What the cache asks of the places where bytes live. Types only.
 *
 * Order on save: bytes in the extent → crc → RAM index → `SsdTier.write` resolves (slab written,
 * then LMDB committed) → the RAM copy may go. Order on free: LMDB commit → slots reusable.
 */
import type {
  BlockHash,
  Crc32s,
  DiskUsage,
  Extent,
  FindingKind,
  Hash64,
  Namespace,
  RecordKind,
  TokenIds,
} from '../types.ts'

/** The RAM tier's memory: one piece, allocated once, recycled for ever, shared with the workers. */
export interface Arena {
  readonly sizeBytes: number
  /** So much of it may be used, from its beginning on: all of it, or less. */
  readonly capacityBytes: number
  readonly usedBytes: number
  /** Of the bytes used: those that lie behind the capacity, which has become smaller. */
  readonly behindBytes: number
  /** Rounded down to granules. Throws for more than there is; what is taken behind it stays. */
  resize(capacityBytes: number): void
  /** Does some of it lie behind the capacity? */
  isBehind(extent: Extent): boolean
  /**
   * Gives the system what nobody uses behind the capacity; it comes back when it is touched. False
   * where the system takes nothing back, or the signal has ended it before.
   */
  giveBack(signal: AbortSignal): Promise<boolean>
  /**
   * Touches all memory once, so that no save pays for fresh pages (10 to 40 times slower). It
   * changes no byte, so it may run beside everything else. Off the event loop, in slices: yields
   * how many bytes from the beginning are warm, and goes on when it is asked for more. Ends early,
   * without an error, when the signal is aborted, the arena is closed or its capacity ends.
   */
  warmUp(signal?: AbortSignal, fromBytes?: number): AsyncGenerator<number>
  /** Allocations are multiples of this, and start at one. */
  readonly granuleBytes: number
  /** File descriptor that a worker can map; null where shared memory cannot be had. */
  readonly fd: number | null
  /** Best fit; null when no contiguous piece is free. The generation is new. 0 bytes take none. */
  allocate(sizeBytes: number): Extent | null
  free(extent: Extent): void
  /** False once the bytes have another owner. */
  isCurrent(extent: Pick<Extent, 'offset' | 'generation'>): boolean
  /** A view of [offset, offset + sizeBytes), not a copy. */
  view(offset: number, sizeBytes: number): Uint8Array
  /** Bytes that `allocate(sizeBytes)` would take. */
  allocatedBytes(sizeBytes: number): number
  /** Largest request that `allocate` could serve now. */
  readonly largestFreeBytes: number
  close(): void
}

export interface RecordKey {
  readonly hash: BlockHash
  readonly kind: RecordKind
}

/** What LMDB says of one record; enough to rebuild the index without reading any payload. */
export interface StoredRecord extends RecordKey {
  readonly namespace: Namespace
  readonly parent: BlockHash
  readonly blockIndex: number
  readonly tokenCount: number
  readonly grid: boolean
  readonly sizeBytes: number
  readonly crc32s: Crc32s
  readonly createdAtMs: number
  readonly lastUsedAtMs: number
}

export interface SsdUsage {
  readonly usedBytes: number
  /** What it may take, in whole slots; the capacity is less while the disk has no room for it. */
  readonly budgetBytes: number
  readonly capacityBytes: number
  /** How long the file is. */
  readonly fileBytes: number
  readonly records: number
  readonly readBytes: number
  readonly writtenBytes: number
  readonly directIo: boolean
  readonly disk: DiskUsage
}

/** Something that is wrong in the tier. */
export interface TierFinding {
  readonly kind: FindingKind
  /** The record that it is wrong with; null: it is no record's. */
  readonly key: RecordKey | null
  /** A sentence for people. */
  readonly what: string
  /** Takes it out of the tier. What needs the record is the caller's affair. */
  mend(): Promise<void>
}

/** A step of an examination: a record that was looked at, or what no record has. */
export interface Examined {
  /** Of the record; null: it is about no record that could be read. */
  readonly sizeBytes: number | null
  readonly finding: TierFinding | null
}

export interface ExamineOptions {
  readonly hash64: Hash64
  /** Resolves when the next piece may be read: others go first. */
  readonly turn: () => Promise<void>
}

/** A text of the service's own beside the records, so that it goes where they go. */
export interface StoredText {
  /** As it was when the tier was opened, or as it was written since; null: it never was. */
  read(): string | null
  /** Replaces it; durable when it resolves. */
  write(text: string): Promise<void>
}

export interface SsdTier {
  usage(): SsdUsage
  /** Looks whether others have filled the file system, or left it. Rejects as the system does. */
  look(): Promise<void>
  /**
   * Reads every record with its token ids and compares all that is known of it. What comes and goes
   * meanwhile is no finding. Holds no record.
   */
  examine(options: ExamineOptions): AsyncIterable<Examined>
  /** All records, in no order. Who asks first gets what open has read, later ones what LMDB has. */
  records(): Iterable<StoredRecord>
  /**
   * Token ids of a stored block, for the compare on a hit. Synchronous, a few µs. A view that is
   * good until the next call.
   */
  tokens(hash: BlockHash): TokenIds | null
  /**
   * Those that `tokens` refuses, some of them wrong: by them a prompt is told that what it wants
   * was damaged, and nothing is restored. Also what `tokens` gives. A view that is good until the
   * next call.
   */
  damagedTokens(hash: BlockHash): TokenIds | null
  /** Slab bytes that a record of this size takes. */
  allocatedBytes(sizeBytes: number): number
  /** What writes that have begun will take is not free; negative where it holds too much. */
  freeBytes(): number
  /**
   * The most bytes from now on, in whole slots. What is stored stays: records behind the new end go
   * before it when they are written again, and the file is cut as they leave.
   */
  resize(capacityBytes: number): void
  /** Does some of this record lie behind the end? */
  isBehind(key: RecordKey): boolean
  /**
   * Resolves when the record is durable against the death of the process. `bytes` is a view that is
   * 4 KiB-aligned and as long as `sizeBytes` rounded up to 4 KiB; it must not change until then.
   * Its room is taken before the call returns.
   * A record of the same key is replaced in the same commit. Rejects with `PREFIXD_E_CACHE_FULL`
   * (no slots) or `PREFIXD_E_CACHE_IO`. `writes` goes into the same commit.
   */
  write(record: StoredRecord, tokens: TokenIds, bytes: Uint8Array, writes?: string): Promise<void>
  /** What the last write said of all writes so far, also in an earlier run; null: none did. */
  writes(): string | null
  /**
   * Reads a record into a 4 KiB-aligned view (length as in `write`) and checks every crc. Rejects
   * with `PREFIXD_E_CACHE_CORRUPT` or `PREFIXD_E_CACHE_IO`. The caller holds the record: while this
   * reads, nobody removes it.
   */
  read(key: RecordKey, into: Uint8Array): Promise<void>
  /** Resolves, with the slab bytes freed, when LMDB has committed; only then are slots reused. */
  remove(keys: readonly RecordKey[]): Promise<number>
  /** Removes a damaged record; its slots stay unused until the next start. */
  quarantine(key: RecordKey): Promise<void>
  /** Remembers use for the LRU order after a restart; written lazily in batches. */
  touch(hash: BlockHash, atMs: number): void
  /** What was noted of namespaces: whose blocks these are, for people who ask later. */
  notes(): ReadonlyMap<Namespace, string>
  /** Remembers a note of at most a few KiB, an empty one not at all; durable when it resolves. */
  note(namespace: Namespace, text: string): Promise<void>
  /** Waits for writes and commits that are under way, then closes. */
  close(): Promise<void>
}

/** What is on the disk beside what the cache asks for. */
export interface SsdTierOnDisk extends SsdTier {
  /** Which blocks people keep; the cache is told of them. */
  readonly pins: StoredText
}

/**
 * The vocabulary of the cache. Types only; imports nothing.
 *
 * A prompt's tokens are cut into blocks of `blockTokens`; the last one may be a shorter tail. Every
 * block has a chain hash inside a namespace. The bytes stored for a block are its records, one per
 * kind. A record lives in the RAM tier (an extent of the arena), in the SSD tier (slots of the
 * slab), or in both.
 */

declare const brand: unique symbol
export type Brand<T, Name extends string> = T & { readonly [brand]: Name }

/** Token ids as the engine's tokenizer produced them for the whole prompt. */
export type TokenIds = Uint32Array

/** sha256 hex digest of everything that must match before KV bytes may be reused. */
export type Namespace = Brand<string, 'Namespace'>

/** xxh64 over parent hash ‖ block tokens ‖ extra key, as 16 lowercase hex digits. */
export type BlockHash = Brand<string, 'BlockHash'>

/** xxh64 with seed 0 of these bytes. About 5 GB/s. */
export type Hash64 = (bytes: Uint8Array) => bigint

/** Short, printable id of a prefix: the first 12 hex digits of its last block's hash. */
export type PrefixId = Brand<string, 'PrefixId'>

export type TierName = 'ram' | 'ssd'

/** `kv`: the block's own tokens, sliceable. `window`, `state`: exact at one boundary only. */
export type RecordKind = 'kv' | 'window' | 'state'

/** How the engine may reuse: to the token, or bit-reproducibly by whole prefilled blocks. */
export type ReuseMode = 'token' | 'block'

/** What a model's cache needs, declared by the worker. */
export interface Layout {
  /** Empty: the engine does not know how to store this model; it is served without cache. */
  readonly kinds: readonly RecordKind[]
  /** May a restored `kv` record be trimmed to fewer tokens? */
  readonly sliceable: boolean
  /** Why nothing is stored, when `kinds` is empty. */
  readonly refusal: string | null
  /** Size of a `kv` record of n tokens is exactly `kvFixedBytes + n * kvBytesPerToken`. */
  readonly kvBytesPerToken: number
  readonly kvFixedBytes: number
  /** Of `kvBytesPerToken`: what the engine's own memory has of a token, too. */
  readonly rowBytesPerToken: number
  /** What is stored at one boundary beside rows, with a full window; 0: no boundaries. */
  readonly boundaryBytes: number
}

/**
 * One block of a prompt, before anybody looked whether it is stored. It says where its tokens are:
 * a view of them would be the largest thing that planning makes.
 */
export interface Block {
  readonly hash: BlockHash
  readonly parent: BlockHash
  /** 0-based position in the chain. */
  readonly index: number
  /** Its tokens in the prompt: [from, to). */
  readonly from: number
  readonly to: number
}

/** A contiguous piece of the arena. `generation` rises whenever the bytes change owner. */
export interface Extent {
  readonly offset: number
  /** Bytes in use; the allocation behind it is rounded up to the arena's granule. */
  readonly sizeBytes: number
  readonly generation: number
}

/** crc32 of each started MiB of a record, in order. */
export type Crc32s = readonly number[]

/** Measured speeds of this machine and model; null where nothing was measured yet. */
export interface Rates {
  readonly prefillTokensPerMs: number | null
  readonly restoreBytesPerMs: Readonly<Record<TierName, number | null>>
}

export type MissReason =
  | 'never_seen'
  | 'evicted'
  | 'diverged'
  | 'no_boundary'
  | 'corrupt'
  | 'no_room'
  | 'restore_not_worth_it'
  | 'unsupported_layout'
  | 'bypass'

export interface Miss {
  readonly reason: MissReason
  readonly atToken: number
  /** When the block that is missing there went, where that is the reason. */
  readonly evictedAtMs?: number
}

/** One record that the plan wants restored, and how much of it. */
export interface PlannedRecord {
  readonly hash: BlockHash
  readonly kind: RecordKind
  /**
   * First token of the record, and one past the last token to keep: `to` may be inside the block.
   */
  readonly from: number
  readonly to: number
  readonly sizeBytes: number
  readonly tier: TierName
}

/** The decision for one request, with its reasons, also on a hit. */
export interface Plan {
  readonly outcome: 'hit' | 'partial' | 'miss' | 'bypass'
  readonly promptTokens: number
  readonly records: readonly PlannedRecord[]
  /** First token that the engine must compute; always ≤ promptTokens − 1. */
  readonly computeFrom: number
  /** Stored tokens that match, before the rule "compute the last token" and before the rates. */
  readonly matchedTokens: number
  /** Slowest tier that has to be read; null when nothing is restored. */
  readonly tier: TierName | null
  /**
   * Positions behind `computeFrom` whose window and state are worth saving, rising; empty where the
   * layout has none.
   */
  readonly boundaries: readonly number[]
  /** Set unless outcome is `hit`. */
  readonly miss: Miss | null
  /** Blocks of the prompt that come next, were stored once and were evicted; absent: none. */
  readonly evicted?: readonly BlockHash[]
  readonly estimate: { readonly restoreMs: number | null; readonly prefillMs: number | null }
  /** Sentences for people, one per decision. */
  readonly reasons: readonly string[]
}

/** What a tier holds, as its budget counts it. */
export interface TierUsage {
  readonly tier: TierName
  readonly usedBytes: number
  readonly capacityBytes: number
  readonly blocks: number
  /** Of the bytes used: those of windows and states, which are exact at one position only. */
  readonly boundaryBytes: number
  /** Bytes that could be evicted now: neither kept nor leased nor being written. */
  readonly reclaimableBytes: number
  /** Records that took bytes here and went so that others had room. */
  readonly evictedRecords: number
  readonly readBytes: number
  readonly writtenBytes: number
}

/**
 * Why a tier is still larger than it may be: its records are `in_use`, or `kept` by pins, or the
 * day's `writes`, or a full disk, do not let them be moved.
 */
export type WaitsFor = 'in_use' | 'kept' | 'writes'

export interface TierBudget {
  /** What it may take. */
  readonly budgetBytes: number
  readonly openedWithBytes: number
  /** What its records take; more than the budget only while it shrinks. */
  readonly usedBytes: number
  /** What it has of the system: memory, or a file. */
  readonly heldBytes: number
  readonly isShrinking: boolean
  /** Null unless something keeps it from shrinking. */
  readonly waitsFor: WaitsFor | null
}

/** Bytes, or a part of whatever the tier may take. */
export type ShareAmount = { readonly bytes: number } | { readonly part: number }

/** What a group of namespaces may hold of each tier; null: as much as there is. */
export type ShareLimits = Readonly<Record<TierName, ShareAmount | null>>

export interface ShareUsage {
  /** `kind:name`, as `model:smollm2-135m`. */
  readonly name: string
  readonly usedBytes: Readonly<Record<TierName, number>>
  /** Null: there is no limit. */
  readonly mostBytes: Readonly<Record<TierName, number | null>>
}

/**
 * The file system of the SSD tier: with little room the tier grows no further, with nearly none
 * nothing is written to it.
 */
export interface DiskUsage {
  readonly state: 'enough' | 'no_growth' | 'no_writes'
  /** When it was last looked at; null: not yet. */
  readonly freeBytes: number | null
  /** With so much free it goes on; null where nothing is held up. */
  readonly resumesAtBytes: number | null
}

/**
 * What a verification finds. `entry`: LMDB's value is damaged; `checksum`: the bytes are not those
 * that were stored; `unreadable`: the disk refused to read them; `tokens`: the token ids are gone,
 * or do not give the chain hash; `orphan`: it continues something that is not stored; `slots`: its
 * slots are another record's, or not in the file; `memory`: what the service has in memory is not
 * what the store has; `index`: LMDB's file cannot be read; `leak`: room that no record uses.
 */
export type FindingKind =
  | 'entry'
  | 'checksum'
  | 'unreadable'
  | 'tokens'
  | 'orphan'
  | 'slots'
  | 'memory'
  | 'index'
  | 'leak'

export interface Finding {
  readonly kind: FindingKind
  /** Of the block; null where it is no block's. */
  readonly hash: BlockHash | null
  readonly record: RecordKind | null
  /** A sentence for people. */
  readonly what: string
  /** Taken out, or freed; false where nobody asked for that. */
  readonly mended: boolean
}

export interface VerifyReport {
  readonly records: number
  readonly sizeBytes: number
  readonly findings: number
  /** Of the findings: all but leaks. */
  readonly corrupt: number
  /** Taken out by the repair, with what was of no use without the damaged ones. */
  readonly removedRecords: number
}

export type VerifyEvent =
  | {
      readonly type: 'progress'
      readonly records: number
      readonly totalRecords: number
      readonly sizeBytes: number
    }
  | { readonly type: 'finding'; readonly finding: Finding }
  /** Comes last, unless the verification was ended before. */
  | { readonly type: 'done'; readonly report: VerifyReport }

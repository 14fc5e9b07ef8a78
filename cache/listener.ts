/**
 * What somebody outside wants to know of the cache's own doings, and remembers for it. One
 * listener, called in the midst of the work: it is quick and throws nothing.
 */
import type { CachedRecord } from './prefix-index.ts'
import type { BlockHash, Namespace, TierName } from './types.ts'

/** A block that was taken out, though nothing was wrong with it; of the SSD or of all tiers. */
export interface EvictedBlock {
  readonly hash: BlockHash
  /** The tier that would have to be larger for it to be there still. */
  readonly tier: TierName
  /** `room`: others had to have its room; `asked`: somebody wanted it away. */
  readonly cause: 'room' | 'asked'
  readonly tokenCount: number
  /** What it took of that tier. */
  readonly sizeBytes: number
  /** Had it what its model goes on from, beside rows? */
  readonly hasBoundary: boolean
}

export interface CacheListener {
  /** Bytes of a record that is durable now, or that was read back and was right. */
  onSsdWritten(namespace: Namespace, sizeBytes: number): void
  onSsdRead(namespace: Namespace, sizeBytes: number): void
  onEvicted(block: EvictedBlock): void
  /** A tier has a copy of this record from now on; on the SSD a durable one. */
  onStored(record: CachedRecord, tier: TierName): void
  /** It has none any more, whatever the reason. */
  onRemoved(record: CachedRecord, tier: TierName): void
  /** Null: it was never evicted, or nobody remembers. */
  whenEvicted(hash: BlockHash): { readonly atMs: number; readonly cause: 'room' | 'asked' } | null
}

export const nobody: CacheListener = {
  onSsdWritten: () => {},
  onSsdRead: () => {},
  onEvicted: () => {},
  onStored: () => {},
  onRemoved: () => {},
  whenEvicted: () => null,
}

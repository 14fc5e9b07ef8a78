/** The only public door of the cache library. */
export { boundariesToSave, boundaryKindsOf, type PromptMarks, thinned } from './boundaries.ts'
export { Cache, type CacheCounters } from './cache.ts'
export type { CacheOptions } from './cache-options.ts'
export { CacheError } from './errors.ts'
export {
  type BlockInfo,
  describeBlocks,
  describePrefix,
  findByBeginning,
  isLeaf,
  leavesOf,
  type PrefixInfo,
  uniqueRun,
  withDescendants,
} from './inventory.ts'
export type { PinRefusal } from './keeping.ts'
export { type LeaseRequest, PrefixLease, prefixIdOf } from './lease.ts'
export type { CacheListener, EvictedBlock } from './listener.ts'
export type { LoadedRecord } from './loading.ts'
export { type NamespaceParts, namespaceOf } from './namespace.ts'
export { type OpenCache, type OpenCacheOptions, openCache, probeSharedMemory } from './open.ts'
export type { CachedBlock, CachedRecord, PrefixIndex } from './prefix-index.ts'
export { reckon } from './reckon.ts'
export type { ExportHeader } from './transfer/descriptions.ts'
export { exportBlocks } from './transfer/export.ts'
export { type Imported, importBlocks } from './transfer/import.ts'
export { openSigner, trustedSigners } from './transfer/signing.ts'
export type {
  BlockHash,
  Crc32s,
  Layout,
  MissReason,
  Namespace,
  Plan,
  PlannedRecord,
  PrefixId,
  Rates,
  RecordKind,
  ReuseMode,
  TierBudget,
  TierName,
  TierUsage,
  TokenIds,
  VerifyEvent,
} from './types.ts'
export { verify } from './verify.ts'
export { type VerifyDirectoryOptions, verifyDirectory } from './verify-directory.ts'

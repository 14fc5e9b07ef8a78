/**
 * What a program that talks to prefixd needs from it: the registry of its errors, and the JSON of
 * its own routes as types. The cache and the engines have doors of their own, `prefixd/cache` and
 * `prefixd/engines`; the service itself is a program, not a library.
 */
export type {
  CacheObjectJson,
  ErrorBodyJson,
  EvictReportJson,
  EvictRequestJson,
  PrefixBlockJson,
  PrefixDetailJson,
  PrefixPageJson,
  PrefixQueryString,
  PrefixSummaryJson,
  WorkerJson,
  WorkerListJson,
} from './api/native/schema.ts'
export type { CacheStatsJson, TierStatsJson } from './api/native/stats-schema.ts'
export { type ErrorCode, type ErrorDetails, errorKinds, kindOf, PrefixdError } from './errors.ts'

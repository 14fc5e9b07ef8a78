/** A cache over memory, small enough to fill in a test. */
import xxhash from 'xxhash-wasm'
import { Cache } from '../../cache/cache.ts'
import { createArena } from '../../cache/tiers/arena.ts'
import type { SsdTier } from '../../cache/tiers/tier.ts'
import type { ReuseMode } from '../../cache/types.ts'
import { createMemorySsd } from './memory-ssd.ts'
import { toyBytesPerToken } from './toy-engine.ts'

const { h64Raw } = await xxhash()

export const mebibyte = 1024 * 1024
export const blockTokens = 1024
/** 64 KiB of RAM: one granule of the arena; on the SSD it takes one slot of 1 MiB. */
export const blockBytes = blockTokens * toyBytesPerToken

export interface ToyCacheOptions {
  readonly ssd?: SsdTier | null
  readonly ramBlocks?: number
  readonly reuse?: ReuseMode
  readonly boundaryTokens?: number
  readonly boundaryShare?: number
  readonly keptShare?: number
  readonly keptHints?: number
  /** `lru` unless a test is about retention: what goes then depends on no clock. */
  readonly eviction?: 'retention' | 'lru'
  readonly ssdWritesPerDayBytes?: number | null
  readonly now?: () => number
}

export function openToyCache(options: ToyCacheOptions = {}) {
  const warnings: string[] = []
  const cache = new Cache({
    arena: createArena({ sizeBytes: (options.ramBlocks ?? 64) * blockBytes, shared: false }),
    ssd: options.ssd === undefined ? createMemorySsd(64 * mebibyte) : options.ssd,
    hash64: (bytes) => h64Raw(bytes),
    blockTokens,
    reuse: options.reuse ?? 'token',
    boundaryTokens: options.boundaryTokens ?? blockTokens,
    boundaryShare: options.boundaryShare ?? 0.25,
    keptShare: options.keptShare ?? 0.5,
    keptHints: options.keptHints ?? 16,
    eviction: options.eviction ?? 'lru',
    rememberedBlocks: 1024,
    rememberedDamages: 16,
    restoreWindowBytes: 8 * blockBytes,
    reserveWaitMs: 1000,
    ssdWritesInFlight: 4,
    ssdWritesPerDayBytes: options.ssdWritesPerDayBytes ?? null,
    now: options.now ?? Date.now,
    warn: (message) => warnings.push(message),
  })
  return { cache, warnings }
}

export const bigSsd = () => createMemorySsd(1024 * mebibyte)

/** With room for everything that a test stores, in both tiers. */
export const openBigCache = (more: ToyCacheOptions = {}) =>
  openToyCache({ ssd: bigSsd(), ramBlocks: 256, ...more })

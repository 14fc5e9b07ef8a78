/**
 * Opens a cache in a directory: lock, arena, slab and LMDB map, and the index rebuilt from it.
 */
import xxhash from 'xxhash-wasm'
import { Cache } from './cache.ts'
import type { CacheOptions } from './cache-options.ts'
import { createArena } from './tiers/arena.ts'
import { lockDirectory } from './tiers/directory-lock.ts'
import { makePrivate } from './tiers/private-directory.ts'
import { openSsdTier } from './tiers/ssd.ts'
import type { Arena, StoredText } from './tiers/tier.ts'

export interface OpenCacheOptions extends Omit<CacheOptions, 'arena' | 'ssd' | 'hash64'> {
  /** Its mode is 0700, or becomes so. Only one process may have it open. */
  readonly directory: string
  readonly ramBytes: number
  /** 0: no SSD tier; nothing outlives the process. */
  readonly ssdBytes: number
  readonly ssdReadsInFlight: number
  /** 32 bytes, with which the SSD tier is encrypted. Without them it is not. */
  readonly encryptionKey?: Uint8Array | null
  /** How long the end may take to write what had to wait in RAM for its share of the writes. */
  readonly closeFlushMs: number
  readonly slabStepBytes: number
  readonly freeDiskFloorBytes: number
}

export interface OpenCache {
  readonly cache: Cache
  /** For the workers: they map the same bytes. */
  readonly arena: Arena
  /** Where pins survive with what they keep; null: without an SSD tier nothing does. */
  readonly pins: StoredText | null
  /** Finishes the writes under way and gives the directory back. No lease may be open. */
  close(): Promise<void>
}

/** Takes the least piece of shared memory and gives it back. Throws `PREFIXD_E_CACHE_ARENA`. */
export const probeSharedMemory = (): void =>
  createArena({ sizeBytes: mebibyte, shared: true }).close()

const mebibyte = 1024 ** 2

/**
 * Serves at once: no payload is read and no memory is touched yet; `arena.warmUp()` does that in
 * the background. Rejects with `PREFIXD_E_CACHE_LOCKED`, `…_DIRECTORY`, `…_FORMAT`, `…_KEY`
 * or `…_ARENA`.
 */
export async function openCache(options: OpenCacheOptions): Promise<OpenCache> {
  const { h64Raw } = await xxhash()
  makePrivate(options.directory, (message) => options.warn(message, null))
  const lock = lockDirectory(options.directory)
  let arena: Arena | null = null
  try {
    arena = createArena({ sizeBytes: options.ramBytes, shared: true })
    const ssd =
      options.ssdBytes === 0
        ? null
        : await openSsdTier({
            directory: options.directory,
            lock,
            capacityBytes: options.ssdBytes,
            stepBytes: options.slabStepBytes,
            freeDiskFloorBytes: options.freeDiskFloorBytes,
            readsInFlight: options.ssdReadsInFlight,
            writesInFlight: options.ssdWritesInFlight,
            encryptionKey: options.encryptionKey ?? null,
            onWarning: (message) => options.warn(message, null),
          })
    const cache = new Cache({ ...options, arena, ssd, hash64: (bytes) => h64Raw(bytes) })
    const opened = arena
    return {
      cache,
      arena: opened,
      pins: ssd?.pins ?? null,
      async close() {
        await cache.close(options.closeFlushMs)
        lock.release()
      },
    }
  } catch (error) {
    arena?.close()
    lock.release()
    throw error
  }
}

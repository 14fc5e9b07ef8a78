/** What the service keeps in its directory: the cache's tiers, and the catalog beside them. */
import { type OpenCache, openCache } from '../cache/index.ts'
import { openCatalog } from './catalog/open.ts'
import type { Catalog } from './catalog/types.ts'
import { keyVariable, readEncryptionKey } from './config/encryption-key.ts'
import { limits } from './config/limits.ts'
import { machineWords } from './config/machine-speed.ts'
import type { Config } from './config/schema.ts'
import type { Log } from './observe/log.ts'

export interface Storage extends OpenCache {
  readonly catalog: Catalog
}

/**
 * Rejects as `openCache` does, and with `PREFIXD_E_CONFIG` for a key that cannot be used. The
 * directory is this process's own then.
 */
export async function openStorage(config: Config, log: Log): Promise<Storage> {
  const warn = (message: string, error: unknown) => log.warn(message, error)
  const encryptionKey = readEncryptionKey(config, process.env)
  // What the service starts needs no key, and would inherit it.
  delete process.env[keyVariable]
  const opened = await openCache({
    directory: config.dir,
    encryptionKey,
    ramBytes: config.ramBytes,
    ssdBytes: config.ssdBytes,
    blockTokens: config.blockTokens,
    reuse: config.reuse,
    boundaryTokens: config.boundaryTokens,
    boundaryShare: limits.boundaryShare,
    keptShare: limits.keptShare,
    keptHints: limits.keptHints,
    eviction: config.eviction,
    rememberedBlocks: limits.rememberedBlocks,
    rememberedDamages: limits.rememberedDamages,
    restoreWindowBytes: limits.restoreWindowBytes,
    reserveWaitMs: limits.reserveWaitMs,
    ssdWritesInFlight: limits.ssdWritesInFlight,
    ssdReadsInFlight: limits.ssdReadsInFlight,
    ssdWritesPerDayBytes: config.ssdWritesPerDayBytes === 0 ? null : config.ssdWritesPerDayBytes,
    closeFlushMs: limits.closeFlushMs,
    slabStepBytes: limits.slabStepBytes,
    freeDiskFloorBytes: limits.freeDiskFloorBytes,
    now: () => Date.now(),
    warn,
  })
  const catalog = openCatalog({
    directory: config.dir,
    besideBlocks: opened.cache.index.blockCount > 0,
    keepText: config.keepText,
    machine: machineWords(),
    storedPins: opened.pins,
    now: Date.now,
    warn,
  })
  const { disk } = opened.cache
  void disk?.look()
  const looking = setInterval(() => void disk?.look(), limits.diskLookMs).unref()
  return {
    ...opened,
    catalog,
    async close() {
      clearInterval(looking)
      catalog.close()
      await opened.close()
    },
  }
}

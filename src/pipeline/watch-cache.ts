/** Who hears of the cache's own doings: the catalog, and whoever follows the events. */
import type { Cache, Namespace } from '../../cache/index.ts'
import type { Catalog } from '../catalog/types.ts'
import { limits } from '../config/limits.ts'
import { type CacheEvents, createCacheEvents } from './cache-events.ts'

export interface WatchOptions {
  readonly cache: Cache
  readonly catalog: Catalog
  readonly modelOf: (namespace: Namespace) => string
}

export function watchCache({ cache, catalog, modelOf }: WatchOptions): Pick<CacheEvents, 'follow'> {
  const events = createCacheEvents({
    flushMs: limits.eventFlushMs,
    hashesPerEvent: limits.hashesPerEvent,
    eventsWaiting: limits.eventsWaiting,
    readersMax: limits.eventReaders,
    isEmpty: () => cache.index.blockCount === 0,
    modelOf,
    now: () => Date.now(),
  })
  cache.listen({
    onStored: events.onStored,
    onRemoved: events.onRemoved,
    onSsdWritten: (namespace, sizeBytes) =>
      catalog.totals.add(modelOf(namespace), { ssdWrittenBytes: sizeBytes }),
    onSsdRead: (namespace, sizeBytes) =>
      catalog.totals.add(modelOf(namespace), { ssdReadBytes: sizeBytes }),
    onEvicted: catalog.ghosts.onEvicted,
    whenEvicted: catalog.ghosts.whenEvicted,
  })
  return events
}

/** What must hold of the cache's books: at any time, and when nothing is under way. */
import type { Cache } from '../../cache/index.ts'
import { type CachedRecord, isBlock, recordOf } from '../../cache/prefix-index.ts'
import { slotBytes } from '../../cache/tiers/slab.ts'
import type { ServiceLife } from './service-life.ts'
import type { Store } from './store.ts'

/** Sentences about what is wrong; none when all is well. */
export function overBudget({ cache, tier }: Pick<ServiceLife, 'cache' | 'tier'>): string[] {
  const { arena, budgets } = cache
  const ssd = tier.usage()
  const tiers = {
    ram: { usedBytes: arena.usedBytes, mostBytes: arena.capacityBytes, budget: budgets.ram() },
    ssd: { usedBytes: ssd.usedBytes, mostBytes: ssd.capacityBytes, budget: budgets.ssd() },
  }
  return Object.entries(tiers)
    .filter(([, { usedBytes, mostBytes, budget }]) => {
      // What has to stay is waited for.
      const isShrinking = budget?.isShrinking === true
      return usedBytes > (isShrinking ? budget.openedWithBytes : mostBytes)
    })
    .map(([name, it]) => `${name} has ${it.usedBytes} of ${it.mostBytes} bytes`)
}

export function leaksOf({ cache, engine }: ServiceLife, store: Store): string[] {
  const books = [...holdsOf(cache), ...unfoundedOf(cache), ...unbalanced(cache, store)]
  return [...books, ...busyOf(engine.status())]
}

function busyOf({ busySequences, queuedRequests }: ReturnType<ServiceLife['engine']['status']>) {
  if (busySequences + queuedRequests === 0) return []
  return [`${busySequences} sequences are busy and ${queuedRequests} requests wait`]
}

/** Leases, pins, reads and writes that nobody has any more. */
function holdsOf({ index }: Cache): string[] {
  const wrong: string[] = []
  for (const root of index.roots()) {
    if (root.leases !== 0) wrong.push(`the root ${root.namespace} has ${root.leases} leases`)
  }
  for (const block of index.blocks()) {
    const { hash, leases, parent, records } = block
    if (leases !== 0) wrong.push(`block ${hash} has ${leases} leases`)
    if (isBlock(parent) && parent.gone) wrong.push(`block ${hash} has lost its parent`)
    if (records.length === 0) wrong.push(`block ${hash} has no record`)
    for (const { kind, pins, loading, ssd, extent } of records) {
      const name = `${hash}:${kind}`
      if (pins !== 0) wrong.push(`${name} has ${pins} pins`)
      if (loading !== null) wrong.push(`${name} is still being read`)
      if (ssd === 'pending') wrong.push(`${name} is still on its way to the SSD`)
      if (extent === null && ssd !== 'stored') wrong.push(`${name} is nowhere: ssd ${ssd}`)
    }
  }
  return wrong
}

/** What stands on the SSD on rows that are not there: the next start would find garbage. */
function unfoundedOf({ index }: Cache): string[] {
  const isOnSsd = (record: CachedRecord | undefined) => record?.ssd === 'stored'
  const wrong: string[] = []
  for (const block of index.blocks()) {
    const { hash, parent, records } = block
    for (const record of records.filter(isOnSsd)) {
      const under = record.kind === 'kv' ? parent : block
      if (!isBlock(under) || isOnSsd(recordOf(under, 'kv'))) continue
      wrong.push(`${hash}:${record.kind} is on the SSD, and what it stands on is not`)
    }
  }
  return wrong
}

/** What the tiers count must be what their records take, and LMDB and index must agree. */
function unbalanced(cache: Cache, { index: durable, quarantinedBytes }: Store): string[] {
  const wrong: string[] = []
  const stored = new Set<string>()
  let ramBytes = 0
  let ssdBytes = 0
  for (const { hash, records } of cache.index.blocks()) {
    for (const record of records) {
      const { kind, extent, ssd } = record
      if (extent !== null) ramBytes += cache.arena.allocatedBytes(extent.sizeBytes)
      if (ssd === 'stored') stored.add(`${hash}:${kind}`)
      ssdBytes += cache.bytesIn('ssd', record)
    }
  }
  const held = { ram: 0, ssd: 0 }
  for (const [, { ram, ssd }] of cache.shares.held()) {
    held.ram += ram
    held.ssd += ssd
  }
  if (held.ram !== ramBytes || held.ssd !== ssdBytes) {
    const taken = JSON.stringify({ ram: ramBytes, ssd: ssdBytes })
    wrong.push(`the shares count ${JSON.stringify(held)}, the records take ${taken}`)
  }
  if (cache.arena.usedBytes !== ramBytes) {
    wrong.push(`the arena counts ${cache.arena.usedBytes} bytes, its records take ${ramBytes}`)
  }
  for (const name of stored) if (!durable.entries.has(name)) wrong.push(`${name} is not in LMDB`)
  for (const name of durable.entries.keys()) {
    if (!stored.has(name)) wrong.push(`${name} is in LMDB, and nobody knows it`)
  }
  let slotCount = 0
  for (const { runs } of durable.entries.values()) for (const { count } of runs) slotCount += count
  const ssd = cache.usage().find(({ tier }) => tier === 'ssd')
  const takenBytes = slotCount * slotBytes + quarantinedBytes
  if (ssd?.usedBytes !== takenBytes) {
    wrong.push(`the SSD tier counts ${ssd?.usedBytes} bytes, its records take ${takenBytes}`)
  }
  return wrong
}

/** The disk that outlives every life of the service, and what it tells of losses. */
import { openSsdTier } from '../../cache/tiers/ssd.ts'
import type { SsdTier } from '../../cache/tiers/tier.ts'
import { limits } from '../../src/config/limits.ts'
import type { Random } from '../random.ts'
import { createFaultyIndex, type FaultyIndex } from './faulty-index.ts'
import { createFaultySlab, type DiskFaults, type FaultySlab, noFaults } from './faulty-slab.ts'
import type { Journal } from './journal.ts'
import type { Profile } from './profile.ts'
import type { Promises } from './promises.ts'
import type { VirtualClock } from './virtual-clock.ts'

export interface StoreOptions {
  readonly clock: VirtualClock
  readonly random: Random
  readonly journal: Journal
  readonly profile: Profile
  readonly promises: Promises
  /** A mistake that tests make. */
  readonly spoil: (tier: SsdTier) => SsdTier
}

export interface Store {
  readonly slab: FaultySlab
  readonly index: FaultyIndex
  readonly faults: DiskFaults
  /** Records may be evicted: the tier is or was short of room. */
  mayEvict: boolean
  /** This record may go: somebody wants it so. */
  excuse(name: string): void
  /** Slots of damaged records, which rest until the next start. */
  readonly quarantinedBytes: number
  openTier(warn: (message: string) => void): Promise<SsdTier>
  /** Everything works from now on. */
  heal(): void
  die(powerFails: boolean): void
  /** Damages a record that chance picks; false where there is none. */
  rot(): boolean
}

export function createStore(options: StoreOptions): Store {
  const { clock, random, journal, profile, promises } = options
  const faults: DiskFaults = { ...noFaults }
  const shared = { clock, random, journal, faults }

  const excuse = (name: string): void => {
    const entry = index.entryOf(name)
    if (entry !== null) promises.excuse(name, entry, index.tokensOf(entry).slice())
  }
  const slab = createFaultySlab({
    ...shared,
    maxBytes: profile.ssdBytes,
    ownerOf: (slot) => index.ownerOf(slot),
    onDamage: excuse,
  })
  const index = createFaultyIndex({
    ...shared,
    onPut(name, { runs }) {
      promises.storedAgain(name)
      if (runs.some((run) => slab.isRunDamaged(run))) excuse(name)
    },
    onRemoved(name, entry, tokens) {
      // A child of what is lost is garbage.
      if (store.mayEvict || isOrphan(index, promises, entry.record)) {
        promises.excuse(name, entry, tokens)
      }
    },
  })
  let quarantinedBytes = 0

  /** Counts what the tier sets aside: the slots of a damaged record, once it has left LMDB. */
  const watched = (tier: SsdTier): SsdTier => ({
    ...tier,
    async quarantine(key) {
      const name = `${key.hash}:${key.kind}`
      const entry = index.entryOf(name)
      await tier.quarantine(key)
      if (entry === null || index.entryOf(name) !== null) return
      quarantinedBytes += tier.allocatedBytes(entry.record.sizeBytes)
    },
  })

  const store: Store = {
    slab,
    index,
    faults,
    mayEvict: false,
    excuse,
    get quarantinedBytes() {
      return quarantinedBytes
    },
    async openTier(onWarning) {
      quarantinedBytes = 0
      const tier = await openSsdTier({
        directory: 'memory',
        lock: { directory: 'memory', release() {} },
        capacityBytes: profile.ssdBytes,
        stepBytes: 4 * 1024 * 1024,
        freeDiskFloorBytes: 0,
        readsInFlight: limits.ssdReadsInFlight,
        writesInFlight: limits.ssdWritesInFlight,
        onWarning,
        io: slab.io,
        openIndex: index.open,
      })
      return watched(options.spoil(tier))
    },
    heal: () => Object.assign(faults, noFaults),
    die(powerFails) {
      slab.die(powerFails)
      index.die()
    },
    rot() {
      const rotten = [...index.entries.values()].filter(({ runs }) => runs.length > 0)
      if (rotten.length === 0) return false
      const { record, runs } = random.pick(rotten)
      const at = random.integer(0, record.sizeBytes - 1)
      slab.flipBit(runs, at)
      journal.note(`a bit of ${record.hash}:${record.kind} flips`)
      return true
    },
  }
  return store
}

type Child = Parameters<Promises['excuse']>[1]['record']

/** Is anything above it lost? Blocks are found by name, as far as LMDB has them. */
function isOrphan(index: FaultyIndex, promises: Promises, record: Child): boolean {
  let { parent, blockIndex } = record
  const own = `${record.hash}:kv`
  if (record.kind !== 'kv' && (index.entryOf(own) === null || promises.isExcused(own))) return true
  while (blockIndex > 0) {
    const name = `${parent}:kv`
    const entry = index.entryOf(name)
    if (entry === null || promises.isExcused(name)) return true
    ;({ parent, blockIndex } = entry.record)
  }
  return false
}

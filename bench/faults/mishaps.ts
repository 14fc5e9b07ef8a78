/** What goes wrong while the service lives on. */
import type { Random } from '../random.ts'
import type { EpisodeCounts } from './counts.ts'
import type { Journal } from './journal.ts'
import { leastRamBytes, type Profile, pickShares } from './profile.ts'
import type { Desk } from './requests.ts'
import type { ServiceLife } from './service-life.ts'
import { nearShare } from './share-watch.ts'
import type { Store } from './store.ts'

export interface MishapOptions {
  readonly random: Random
  readonly journal: Journal
  readonly profile: Profile
  readonly store: Store
  readonly desk: Desk
  readonly counts: EpisodeCounts
}

export interface Mishaps {
  /** A bit on the disk flips. */
  rot(): void
  /** A client goes away. */
  leave(): void
  killWorker(life: ServiceLife | null): void
  /** The disk fails in other ways than before. */
  worsen(): void
  /** A tier's budget changes, mostly to less; what is there takes its time. */
  resize(life: ServiceLife | null): void
  /** Other groups get other shares, where there are any. */
  redivide(life: ServiceLife | null): void
}

/** So near to full, records may be evicted. */
export const pressureBytes = 24 * 1024 * 1024

export function createMishaps(options: MishapOptions): Mishaps {
  const { random, journal, profile, store, desk, counts } = options
  return {
    rot() {
      if (store.rot()) counts.damages += 1
    },

    leave() {
      const running = [...desk.running]
      if (running.length === 0) return
      const one = random.pick(running)
      journal.note(`the client of request ${one.id} goes away`)
      if (random.next() < 0.5) one.leaves = true
      else one.controller.abort(new Error('the client is gone'))
    },

    killWorker(life) {
      journal.note('the worker dies')
      counts.workerDeaths += 1
      for (const running of desk.running) running.sawDeath = true
      life?.killWorker()
    },

    worsen() {
      const { faults } = store
      faults.isFull = random.next() < 0.3
      faults.failedReads = random.pick([0, 0, 0.05, 0.3])
      faults.failedWrites = random.pick([0, 0, 0.05, 0.3])
      faults.lyingWrites = profile.rots ? random.pick([0, 0, 0.02]) : 0
      faults.stalls = random.pick([0, 0.02, 0.2])
      journal.note(`faults: ${JSON.stringify(faults)}`)
    },

    resize(life) {
      if (life === null) return
      counts.resizes += 1
      const { budgets } = life.cache
      const part = random.pick([0.3, 0.6, 0.9, 1])
      if (random.next() < 0.5) {
        const sizeBytes = Math.max(leastRamBytes, Math.floor(profile.ramBytes * part))
        journal.note(`the RAM tier may take ${sizeBytes} bytes`)
        void budgets.resizeRam(sizeBytes)
      } else {
        const sizeBytes = Math.floor(profile.ssdBytes * part)
        journal.note(`the SSD tier may take ${sizeBytes} bytes`)
        if (life.tier.usage().usedBytes + pressureBytes > sizeBytes) store.mayEvict = true
        void budgets.resizeSsd(sizeBytes)
      }
    },

    redivide(life) {
      if (life === null || Object.keys(profile.shares).length === 0) return
      const shares = pickShares(random)
      journal.note(`shares: ${JSON.stringify(shares)}`)
      life.divide(shares)
      // What is too much now goes in a moment.
      store.mayEvict ||= nearShare(life.cache, 'ssd', pressureBytes)
    },
  }
}

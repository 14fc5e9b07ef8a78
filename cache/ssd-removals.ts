/** How records leave the SSD tier, and what becomes of those that the disk does not let go. */
import { type PrefixIndex, recordOf } from './prefix-index.ts'
import type { RecordKey, SsdTier } from './tiers/tier.ts'

export interface SsdRemovalsOptions {
  readonly tier: Pick<SsdTier, 'remove' | 'quarantine'>
  readonly index: Pick<PrefixIndex, 'get'>
  readonly onFailed: (error: unknown) => void
}

interface Refused {
  readonly key: RecordKey
  /** Its slots are to rest. */
  readonly isDamaged: boolean
}

const nameOf = ({ hash, kind }: RecordKey): string => `${hash} ${kind}`

/**
 * Nobody else knows of a record that has left the index: where the disk refuses to let it go, its
 * slots would be lost until the next start. It goes with the next removal.
 */
export class SsdRemovals {
  readonly #options: SsdRemovalsOptions
  readonly #underWay = new Set<Promise<void>>()
  /** By name. */
  readonly #refused = new Map<string, Refused>()

  constructor(options: SsdRemovalsOptions) {
    this.#options = options
  }

  /** Out of LMDB; the slots are free once it has committed. Failures are told to `onFailed`. */
  drop(keys: readonly RecordKey[]): Promise<void> {
    return keys.length === 0 ? Promise.resolve() : this.#track(this.remove(keys))
  }

  /** As `drop`, but the slots rest until the next start. */
  quarantine(key: RecordKey): Promise<void> {
    return this.#track(this.#quarantine(key))
  }

  /** As `drop`, but rejects where the disk refuses. */
  async remove(keys: readonly RecordKey[]): Promise<void> {
    const again = [...this.#refused.values()]
    this.#refused.clear()
    const damaged = again.filter(({ isDamaged }) => isDamaged).map(({ key }) => key)
    const others = again.filter(({ isDamaged }) => !isDamaged).map(({ key }) => key)
    const all = [...others, ...keys]
    await Promise.all([
      ...damaged.map((key) => this.#quarantine(key)),
      this.#orRefuse(all, false, this.#options.tier.remove(all)),
    ])
  }

  /**
   * A record of this name that LMDB may still have goes with the next removal, unless the index has
   * it there by right.
   */
  refuse(key: RecordKey, isDamaged = false): void {
    const block = this.#options.index.get(key.hash)
    const { ssd } = (block && recordOf(block, key.kind)) ?? { ssd: 'none' }
    if (ssd === 'stored' || ssd === 'pending') return
    this.#refused.set(nameOf(key), { key, isDamaged })
  }

  /** A record of this name is written again. */
  takeBack(key: RecordKey): void {
    this.#refused.delete(nameOf(key))
  }

  /** Resolves when those that are under way have ended. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay)
  }

  /** Tries again what was refused, and waits as `settled`. */
  async idle(): Promise<void> {
    if (this.#refused.size > 0) void this.#track(this.remove([]))
    await this.settled()
  }

  #quarantine(key: RecordKey): Promise<void> {
    return this.#orRefuse([key], true, this.#options.tier.quarantine(key))
  }

  async #orRefuse(
    keys: readonly RecordKey[],
    isDamaged: boolean,
    removal: Promise<unknown>,
  ): Promise<void> {
    try {
      await removal
    } catch (error) {
      for (const key of keys) this.refuse(key, isDamaged)
      throw error
    }
  }

  async #track(removal: Promise<unknown>): Promise<void> {
    const done = removal.then(
      () => undefined,
      (error) => this.#options.onFailed(error),
    )
    this.#underWay.add(done)
    await done
    this.#underWay.delete(done)
  }
}

/**
 * The one door of the SSD tier: one record at a time, and its write has taken the room before
 * another one looks. Otherwise all that are under way would evict for themselves alone, and then
 * take each other's slots.
 */
import { isOutOfRoom } from './errors.ts'
import type { CachedRecord } from './prefix-index.ts'
import type { SsdRoom } from './ssd-room.ts'
import { createInFlight } from './tiers/in-flight.ts'

export interface SsdEntranceOptions {
  readonly room: Pick<SsdRoom, 'make'>
  /** Has it nothing to be there for any more? It may change while the record waits. */
  readonly isUnwanted: (record: CachedRecord) => boolean
  /** Calls `SsdTier.write` at once, which takes the room. */
  readonly store: (record: CachedRecord) => Promise<void>
  readonly onUnwanted: (record: CachedRecord) => void
}

export class SsdEntrance {
  readonly #options: SsdEntranceOptions
  readonly #door = createInFlight(1)

  constructor(options: SsdEntranceOptions) {
    this.#options = options
  }

  /**
   * Makes room for it and stores it; resolves when it is durable or nobody wants it any more. Where
   * the tier counted on a file that then could not grow, it comes once more: the order of going
   * makes its room inside the file as it is.
   */
  async admit(record: CachedRecord): Promise<void> {
    const { stored } = await this.#enter(record)
    try {
      await stored
    } catch (error) {
      if (!isOutOfRoom(error)) throw error
      const again = await this.#enter(record)
      await again.stored
    }
  }

  /** Nothing comes in until it has resolved; what it resolves with may go on behind the door. */
  alone<T>(run: () => Promise<T>): Promise<T> {
    return this.#door.run(run)
  }

  #enter(record: CachedRecord): Promise<{ readonly stored: Promise<void> }> {
    const { room, isUnwanted, store, onUnwanted } = this.#options
    return this.alone(async () => {
      if (!isUnwanted(record)) await room.make(record)
      if (!isUnwanted(record)) return { stored: store(record) }
      onUnwanted(record)
      return { stored: Promise.resolve() }
    })
  }
}

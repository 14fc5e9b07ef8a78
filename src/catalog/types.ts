/** What the catalog is to the rest of the product. Types only. */

/** A block that no eviction takes, with all that it stands on. */
export interface Pin {
  /** Chain hash of the last block that is kept. */
  readonly hash: string
  /** Null: until it is unpinned. */
  readonly untilMs: number | null
  readonly createdAtMs: number
}

/** Both changes are durable when they return; they throw `PREFIXD_E_CATALOG`. */
export interface PinStore {
  all(): readonly Pin[]
  /** Replaces one of the same hash. */
  put(pin: Pin): void
  remove(hash: string): void
}

/** What people ask about later. Which bytes are stored is the index's to say, not the catalog's. */
export interface Catalog {
  readonly pins: PinStore
  /** Gives the file back. */
  close(): void
}

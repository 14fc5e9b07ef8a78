/**
 * Puts the blocks of each request into their keep classes, by how often they were used and what
 * computing them again costs. What a parent is worth is at least what its children are: without it
 * they are garbage.
 */
import {
  freshKeepClass,
  keepClassOf,
  keepWeight,
  msPerMebibyte,
  usualMsPerMebibyte,
} from './retention.ts'
import { UseCounts } from './use-counts.ts'

/** `lru`: what was used longest ago goes first, whatever it is worth. */
export type Eviction = 'retention' | 'lru'

/** Hex digits of a hash that make 32 bits. */
const keyDigits = 8

/** The key of a block, by its name. */
export const useKeyOf = (hash: string): number => Number.parseInt(hash.slice(0, keyDigits), 16)

export interface Use {
  /** 32 bits that are all the block's own. */
  readonly key: number
  readonly sizeBytes: number
  /** What the engine would take to compute it again; null where nothing was measured yet. */
  readonly recomputeMs: number | null
}

export interface Standing {
  /** Requests that have used it lately, also before it was evicted; 0 where nobody counts. */
  readonly uses: number
  /** How many times as long as a block that was used once, at the usual cost, it may lie idle. */
  readonly weight: number
}

export class Keeper {
  readonly #eviction: Eviction
  readonly #counts: UseCounts
  /** Of the last block whose cost was known. */
  #usualMsPerMebibyte = usualMsPerMebibyte

  /** `blocks`: about how many are stored at a time; see `UseCounts`. */
  constructor(eviction: Eviction, blocks: number) {
    this.#eviction = eviction
    this.#counts = new UseCounts(eviction === 'lru' ? 0 : blocks)
  }

  /** A request has used these blocks of one chain, from its end to its beginning. */
  used<Block extends { keepClass: number }>(
    chain: Iterable<Block>,
    describe: (block: Block) => Use,
  ): void {
    if (this.#eviction === 'lru') return
    let atLeast = 0
    for (const block of chain) {
      const use = describe(block)
      const uses = this.#counts.add(use.key)
      this.#usualMsPerMebibyte = msPerMebibyte(use) ?? this.#usualMsPerMebibyte
      atLeast = Math.max(atLeast, keepClassOf({ ...use, uses }))
      block.keepClass = atLeast
    }
  }

  /** As `used`, for a block that no request has used since the start. */
  reckon(block: { keepClass: number }, use: Use): void {
    if (this.#eviction === 'lru') return
    this.#usualMsPerMebibyte = msPerMebibyte(use) ?? this.#usualMsPerMebibyte
    block.keepClass = keepClassOf({ ...use, uses: this.#counts.of(use.key) })
  }

  /** Requests that have used the block of this name, also before it was evicted. */
  usesOf(hash: string): number {
    return this.#counts.of(useKeyOf(hash))
  }

  /** Why it goes sooner or later than others that nobody keeps. */
  standingOf({ hash, keepClass }: { readonly hash: string; readonly keepClass: number }): Standing {
    const weight = this.weightOf(keepClass) / this.weightOf(freshKeepClass)
    return { uses: this.usesOf(hash), weight }
  }

  /** How much longer than others blocks of this class may lie idle. */
  weightOf(keepClass: number): number {
    return keepWeight(keepClass, this.#usualMsPerMebibyte)
  }
}

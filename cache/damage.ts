/**
 * Blocks whose bytes or token ids are not those that were stored, remembered by what they were: a
 * request that wants one is told why its tokens are computed. Forgotten when stored anew.
 */
import type { CacheOptions } from './cache-options.ts'
import { CacheError } from './errors.ts'
import type { SsdTier } from './tiers/tier.ts'
import type { BlockHash, TokenIds } from './types.ts'

interface Placed {
  readonly hash: BlockHash
  readonly parent: { readonly hash: BlockHash }
}

interface DamagedBlock {
  readonly hash: BlockHash
  readonly parent: BlockHash
  /** As they were read, some of them wrong; empty where nothing could be. */
  readonly tokens: TokenIds
  readonly atMs: number
}

/** What a prompt goes on with behind a stored block, and how far others still serve it there. */
export interface WantedBlock {
  readonly hash: BlockHash
  readonly parent: BlockHash
  readonly tokens: TokenIds
  readonly sharedTokens: number
}

export interface DamageLogOptions extends Pick<CacheOptions, 'rememberedDamages' | 'now' | 'warn'> {
  readonly ssd: Pick<SsdTier, 'damagedTokens'> | null
}

const noTokens = new Uint32Array(0)

export class DamageLog {
  readonly #options: DamageLogOptions
  /** In the order in which they were found. */
  readonly #blocks = new Map<BlockHash, DamagedBlock>()

  constructor(options: DamageLogOptions) {
    this.#options = options
  }

  /** The index has no token ids of this block, or others than it is named by. */
  unreadable(block: Placed, tokens: TokenIds | null): void {
    const message = `The token ids of block ${block.hash} are not those that were stored.`
    const error = new CacheError('PREFIXD_E_CACHE_CORRUPT', message)
    this.#options.warn(`block ${block.hash} is not used any more; its chain is cut there`, error)
    this.setAside(block, tokens ?? this.#damagedTokensOf(block))
  }

  setAside({ hash, parent }: Placed, tokens: TokenIds): void {
    const { rememberedDamages, now } = this.#options
    const known = tokens.length > 0 ? tokens.slice() : this.#blocks.get(hash)?.tokens
    this.#blocks.delete(hash)
    this.#blocks.set(hash, { hash, parent: parent.hash, tokens: known ?? noTokens, atMs: now() })
    const [oldest] = this.#blocks.keys()
    if (this.#blocks.size > rememberedDamages && oldest !== undefined) this.#blocks.delete(oldest)
  }

  /** What is stored now serves who wanted the damaged one. */
  stored({ hash, parent }: Placed, tokens: TokenIds): void {
    const wanted = { hash, parent: parent.hash, tokens, sharedTokens: 0 }
    for (const damaged of this.#like(wanted)) this.#blocks.delete(damaged.hash)
  }

  /** When what the prompt goes on with was set aside; null: it was not, or nobody remembers. */
  whenSetAside(wanted: WantedBlock): number | null {
    let latestMs: number | null = null
    for (const { atMs } of this.#like(wanted)) latestMs = Math.max(latestMs ?? atMs, atMs)
    return latestMs
  }

  /** Of a store with a key the ids that do not open; whoever could not read them has told so. */
  #damagedTokensOf({ hash }: Placed): TokenIds {
    try {
      return this.#options.ssd?.damagedTokens(hash) ?? noTokens
    } catch {
      return noTokens
    }
  }

  /**
   * The name shows a full block. A tail also has what was decoded, so that a prompt does not make
   * its name: it is known by its ids, of which a few may be wrong.
   */
  #like({ hash, parent, tokens, sharedTokens }: WantedBlock): DamagedBlock[] {
    if (this.#blocks.size === 0) return []
    return [...this.#blocks.values()].filter((damaged) => {
      if (damaged.parent !== parent) return false
      if (damaged.hash === hash) return true
      const equal = equalTokens(damaged.tokens, tokens)
      // What all chats of a template share shows nothing.
      return equal > sharedTokens && equal * 2 > Math.min(damaged.tokens.length, tokens.length)
    })
  }
}

function equalTokens(a: TokenIds, b: TokenIds): number {
  const length = Math.min(a.length, b.length)
  let equal = 0
  for (let at = 0; at < length; at++) if (a[at] === b[at]) equal++
  return equal
}

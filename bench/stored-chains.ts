/** Stored blocks by the hundred thousand, without their bytes: chains that share nothing. Pure. */
import { blockHash, rootHash } from '../cache/chain.ts'
import type { StoredRecord } from '../cache/tiers/tier.ts'
import type { BlockHash, Hash64, Namespace, TokenIds } from '../cache/types.ts'

export const namespace = 'b'.repeat(64) as Namespace
export const blockTokens = 256
/** A prompt of 128,000 tokens. */
export const chainBlocks = 500

export interface StoredChains {
  records(): Generator<StoredRecord>
  /** A view that is good until the next call, as a tier gives it. */
  tokens(hash: BlockHash): TokenIds | null
  /** The prompt of one chain, in the memory that is given. */
  prompt(chain: number, memory: TokenIds): TokenIds
}

/** Takes about 2 µs a block. */
export function makeChains(hash64: Hash64, blockCount: number): StoredChains {
  const pattern = Uint32Array.from({ length: blockTokens }, (_, at) => (at * 2_654_435_761) >>> 15)
  const tokensAt = (chain: number, index: number): TokenIds => {
    pattern[0] = chain
    pattern[1] = index
    return pattern
  }
  const placeOf = new Map<BlockHash, number>()
  const hashes: BlockHash[] = []
  for (let place = 0; place < blockCount; place += 1) {
    const index = place % chainBlocks
    const parent = index === 0 ? rootHash(hash64, namespace) : (hashes[place - 1] as BlockHash)
    const hash = blockHash(hash64, parent, tokensAt(Math.floor(place / chainBlocks), index))
    hashes.push(hash)
    placeOf.set(hash, place)
  }
  return {
    *records() {
      for (const [place, hash] of hashes.entries()) {
        const index = place % chainBlocks
        const parent = index === 0 ? rootHash(hash64, namespace) : (hashes[place - 1] as BlockHash)
        yield recordOf(hash, parent, index, place)
      }
    },
    tokens(hash) {
      const place = placeOf.get(hash)
      if (place === undefined) return null
      return tokensAt(Math.floor(place / chainBlocks), place % chainBlocks)
    },
    prompt(chain, memory) {
      for (let index = 0; index < chainBlocks; index += 1) {
        memory.set(tokensAt(chain, index), index * blockTokens)
      }
      return memory
    },
  }
}

/** Of a size that takes one slot: what is measured here is their number. */
const recordOf = (
  hash: BlockHash,
  parent: BlockHash,
  index: number,
  createdAtMs: number,
): StoredRecord => ({
  hash,
  kind: 'kv',
  namespace,
  parent,
  blockIndex: index,
  tokenCount: blockTokens,
  grid: true,
  sizeBytes: 4096,
  crc32s: [0],
  createdAtMs,
  lastUsedAtMs: createdAtMs,
})

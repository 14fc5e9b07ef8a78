/**
 * Tokens → chain hashes. Pure; the hash function comes in as an argument.
 *
 * A chain hash is xxh64 over the parent's hash (8 bytes), the block's token ids (u32 little endian)
 * and an optional extra key. It names a block; it never proves one: xxh64 is easy to collide on
 * purpose, so the stored token ids and the namespace are compared on every hit.
 */
import type { Block, BlockHash, Hash64, Namespace, TokenIds } from './types.ts'

const toHex = (hash: bigint): BlockHash => hash.toString(16).padStart(16, '0') as BlockHash
const wordOf = (hash: BlockHash): bigint => BigInt(`0x${hash}`)

/** The parent of every first block: the namespace, hashed. */
export function rootHash(hash64: Hash64, namespace: Namespace): BlockHash {
  return toHex(hash64(new TextEncoder().encode(namespace)))
}

export function blockHash(
  hash64: Hash64,
  parent: BlockHash,
  tokens: TokenIds,
  extraKey = '',
): BlockHash {
  const extra = extraKey === '' ? null : new TextEncoder().encode(extraKey)
  const bytes = new Uint8Array(parentBytes + tokens.byteLength + (extra?.byteLength ?? 0))
  new BigUint64Array(bytes.buffer, 0, 1)[0] = wordOf(parent)
  new Uint32Array(bytes.buffer, parentBytes, tokens.length).set(tokens)
  if (extra !== null) bytes.set(extra, parentBytes + tokens.byteLength)
  return toHex(hash64(bytes))
}

/** Every supported platform is little endian, so numbers are hashed as they lie in memory. */
const parentBytes = 8

/**
 * Cuts a prompt into blocks of `blockTokens`; the last one may be a shorter tail.
 * 128k tokens take about 0.3 ms.
 */
export function cutBlocks(
  hash64: Hash64,
  namespace: Namespace,
  tokens: TokenIds,
  blockTokens: number,
): Block[] {
  const blocks: Block[] = []
  let parent = rootHash(hash64, namespace)
  // One buffer for all blocks: fresh ones of a long prompt would make the collector walk the index.
  const hashed = new Uint8Array(parentBytes + 4 * Math.min(blockTokens, tokens.length))
  const hashedParent = new BigUint64Array(hashed.buffer, 0, 1)
  // As bytes, which are copied without a view of each block.
  const source = Buffer.from(tokens.buffer, tokens.byteOffset, tokens.byteLength)
  hashedParent[0] = wordOf(parent)
  for (let from = 0; from < tokens.length; from += blockTokens) {
    const to = Math.min(from + blockTokens, tokens.length)
    source.copy(hashed, parentBytes, 4 * from, 4 * to)
    const lengthBytes = parentBytes + 4 * (to - from)
    const name = hash64(lengthBytes === hashed.length ? hashed : hashed.subarray(0, lengthBytes))
    const hash = toHex(name)
    blocks.push({ hash, parent, index: blocks.length, from, to })
    hashedParent[0] = name
    parent = hash
  }
  return blocks
}

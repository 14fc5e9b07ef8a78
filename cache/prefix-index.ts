/**
 * Which blocks are stored: chain hash → block, and every block's children.
 *
 * The index is a tree per namespace. It holds no payload, only where payloads are; it is rebuilt
 * from LMDB when a store is opened.
 */
import { blockHash, rootHash } from './chain.ts'
import type { DamageLog } from './damage.ts'
import type { Links } from './recency.ts'
import { freshKeepClass } from './retention.ts'
import { Siblings } from './siblings.ts'
import { TokenStore } from './token-store.ts'
import type {
  Block,
  BlockHash,
  Crc32s,
  Extent,
  Hash64,
  Namespace,
  RecordKind,
  ReuseMode,
  TierName,
  TokenIds,
} from './types.ts'

/**
 * The bytes of one block of one kind, and which tiers have them. Most are on the SSD only, so the
 * place in its order stands in the record itself.
 */
export interface CachedRecord extends Links<CachedRecord> {
  readonly block: CachedBlock
  readonly kind: RecordKind
  readonly sizeBytes: number
  crc32s: Crc32s
  /** The RAM copy. */
  extent: Extent | null
  /** Readers and writers that use the RAM copy at this moment. */
  pins: number
  /**
   * `pending`: on its way; `failed`: the disk refused it or what it stands on, the RAM copy is the
   * only one; `kept off`: whoever saved it wants no copy on the disk; `waiting`: the day's writes
   * are used up, or the disk is full.
   */
  ssd: 'none' | 'pending' | 'stored' | 'failed' | 'kept off' | 'waiting'
  /** Others of its chain do nearly as well: the first of its kind to go when room is short. */
  spare: boolean
  /** A read from the SSD that is under way, shared by all who want the record. */
  loading: Promise<void> | null
  /** The place in the order of the RAM tier, since the record was first there. */
  ramLinks: Links<CachedRecord> | null
}

export interface TreeRoot {
  readonly namespace: Namespace
  readonly hash: BlockHash
  readonly children: Siblings<CachedBlock>
  /** Requests that hold it; without any, a root goes with its last block. */
  leases: number
}

export interface CachedBlock {
  readonly hash: BlockHash
  readonly namespace: Namespace
  readonly parent: CachedBlock | TreeRoot
  readonly index: number
  readonly tokenCount: number
  /** Where the index has its token ids; `unread` until somebody compares them. */
  tokensAt: number
  grid: boolean
  records: CachedRecord[]
  readonly children: Siblings<CachedBlock>
  leases: number
  hits: number
  createdAtMs: number
  lastUsedAtMs: number
  /** How long it is worth keeping; see retention.ts. At least as long as what is behind it. */
  keepClass: number
  /** Taken out of the index while somebody still used its bytes; they go with the last pin. */
  gone: boolean
}

export const isBlock = (node: CachedBlock | TreeRoot): node is CachedBlock => 'records' in node

export interface NewBlock {
  readonly hash: BlockHash
  readonly parent: CachedBlock | TreeRoot
  readonly index: number
  readonly tokenCount: number
  readonly tokens: TokenIds | null
  readonly grid: boolean
  readonly createdAtMs: number
  readonly lastUsedAtMs: number
}

/** One stored block that a prompt can use, and how many of its tokens. */
export interface BlockMatch {
  readonly block: CachedBlock
  readonly sharedTokens: number
}

/** The ids of a block that was found on the SSD are read from LMDB when they are first wanted. */
const unread = -1
/** LMDB has none, or others than the block is named by. */
const unreadable = -2
const noTokens = new Uint32Array(0)

/** Adds a record to its block; rows come before what stands on them. */
export function addRecord(
  block: CachedBlock,
  kind: RecordKind,
  sizeBytes: number,
  crc32s: Crc32s,
): CachedRecord {
  const record: CachedRecord = {
    block,
    kind,
    sizeBytes,
    crc32s,
    extent: null,
    pins: 0,
    ssd: 'none',
    spare: false,
    loading: null,
    ramLinks: null,
    older: null,
    newer: null,
    list: null,
  }
  // Most blocks have one record: an array that is written so has no room for others.
  if (block.records.length === 0) block.records = [record]
  else if (kind === 'kv') block.records.unshift(record)
  else block.records.push(record)
  return record
}

export function recordOf(block: CachedBlock, kind: RecordKind): CachedRecord | undefined {
  return block.records.find((record) => record.kind === kind)
}

/** Out of the index, with its block or alone: its bytes go with whoever still uses them. */
export function isGone(record: CachedRecord): boolean {
  return record.block.gone || !record.block.records.includes(record)
}

export function tierOf(record: CachedRecord): TierName | null {
  if (record.extent !== null) return 'ram'
  return record.ssd === 'stored' ? 'ssd' : null
}

export class PrefixIndex {
  /** Blocks that are not used any more since something of them was damaged. */
  readonly damage: DamageLog
  readonly #hash64: Hash64
  readonly #readTokens: (hash: BlockHash) => TokenIds | null
  readonly #roots = new Map<Namespace, TreeRoot>()
  readonly #blocks = new Map<BlockHash, CachedBlock>()
  readonly #tokens = new TokenStore()
  readonly #tokensOf = (block: CachedBlock): TokenIds => this.tokensOf(block)

  /** `readTokens` fetches the ids of a block that was found on the SSD at start; see `SsdTier`. */
  constructor(hash64: Hash64, readTokens: (hash: BlockHash) => TokenIds | null, damage: DamageLog) {
    this.damage = damage
    this.#hash64 = hash64
    this.#readTokens = readTokens
  }

  get blockCount(): number {
    return this.#blocks.size
  }

  roots(): Iterable<TreeRoot> {
    return this.#roots.values()
  }

  blocks(): Iterable<CachedBlock> {
    return this.#blocks.values()
  }

  get(hash: BlockHash): CachedBlock | undefined {
    return this.#blocks.get(hash)
  }

  root(namespace: Namespace): TreeRoot {
    let root = this.#roots.get(namespace)
    if (root === undefined) {
      const hash = rootHash(this.#hash64, namespace)
      root = { namespace, hash, children: new Siblings(this.#tokensOf), leases: 0 }
      this.#roots.set(namespace, root)
    }
    return root
  }

  /**
   * Ids that cannot be read (a damaged LMDB entry) compare equal to nothing. A view that is good
   * while the block is in the index; empty for one that has left it.
   */
  tokensOf(block: CachedBlock): TokenIds {
    const place = this.#placeOf(block)
    return place === unreadable ? noTokens : this.#tokens.view(place, block.tokenCount)
  }

  insert(fresh: NewBlock, order: 'sorted' | 'later' = 'sorted'): CachedBlock {
    const { hash, parent, index, tokenCount, tokens, grid, createdAtMs, lastUsedAtMs } = fresh
    const block: CachedBlock = {
      hash,
      namespace: parent.namespace,
      parent,
      index,
      tokenCount,
      tokensAt: tokens === null ? unread : this.#tokens.add(tokens),
      grid,
      records: [],
      children: new Siblings(this.#tokensOf),
      leases: 0,
      hits: 0,
      createdAtMs,
      lastUsedAtMs,
      keepClass: freshKeepClass,
      gone: false,
    }
    this.#blocks.set(hash, block)
    if (tokens !== null) this.damage.stored(block, tokens)
    if (order === 'sorted') parent.children.add(block)
    else parent.children.addUnsorted(block)
    return block
  }

  /** A block with children must not go: they would be garbage. */
  remove(block: CachedBlock): void {
    if (block.gone) return
    if (block.children.size > 0) throw new Error(`block ${block.hash} still has children`)
    block.parent.children.delete(block)
    block.gone = true
    this.#blocks.delete(block.hash)
    if (block.tokensAt >= 0) this.#tokens.remove(block.tokensAt, block.tokenCount)
    block.tokensAt = unreadable
    if (!isBlock(block.parent)) this.dropUnused(block.parent)
  }

  /** Clients choose namespaces by their salts: one that has nothing stored must cost nothing. */
  dropUnused(root: TreeRoot): void {
    if (root.leases === 0 && root.children.size === 0) this.#roots.delete(root.namespace)
  }

  has(namespace: Namespace): boolean {
    return this.#roots.has(namespace)
  }

  /** The block itself and everything below it, children before parents. */
  *subtree(block: CachedBlock): Generator<CachedBlock> {
    const order = [block]
    for (let i = 0; i < order.length; i++) order.push(...(order[i] as CachedBlock).children)
    for (let i = order.length - 1; i >= 0; i--) yield order[i] as CachedBlock
  }

  /** False: its token ids on the SSD are damaged, so that no prompt will ever match it. */
  isReadable(block: CachedBlock): boolean {
    return this.#placeOf(block) !== unreadable
  }

  /**
   * The longest stored beginning of a prompt. Full blocks are found by hash and trusted after their
   * parent, namespace and tokens compared equal. With `token` reuse the match then goes on inside
   * the children of the last one.
   */
  match(
    namespace: Namespace,
    tokens: TokenIds,
    prompt: readonly Block[],
    reuse: ReuseMode,
  ): BlockMatch[] {
    const matches: BlockMatch[] = []
    let node: CachedBlock | TreeRoot = this.root(namespace)
    for (const wanted of prompt) {
      const block = this.#exact(node, tokens, wanted, reuse)
      if (block === null) break
      matches.push({ block, sharedTokens: block.tokenCount })
      node = block
    }
    const rest = prompt[matches.length]
    if (rest === undefined || reuse === 'block') return matches
    const partial = node.children.longest(tokens.subarray(rest.from, rest.to))
    if (partial !== null) matches.push({ block: partial.item, sharedTokens: partial.sharedTokens })
    return matches
  }

  #exact(
    parent: CachedBlock | TreeRoot,
    tokens: TokenIds,
    wanted: Block,
    reuse: ReuseMode,
  ): CachedBlock | null {
    const block = this.#childOf(parent, wanted.hash)
    if (block === null) return null
    if (reuse === 'block' && !block.grid) return null
    if (block.tokenCount !== wanted.to - wanted.from) return null
    return this.#holds(block, tokens, wanted) ? block : null
  }

  /**
   * Most blocks have one child, which lies beside its parent: a look into the map of all blocks
   * would be four places of memory that nobody has used lately.
   */
  #childOf(parent: CachedBlock | TreeRoot, hash: BlockHash): CachedBlock | null {
    const { only } = parent.children
    if (only !== null) return only.hash === hash ? only : null
    const block = this.#blocks.get(hash)
    return block?.parent === parent ? block : null
  }

  /** The wanted tokens make the wanted name, so whoever has both needs no hashing to show it. */
  #holds(block: CachedBlock, tokens: TokenIds, { from, to }: Block): boolean {
    const own = block.tokensAt === unread ? this.#readTokens(block.hash) : null
    if (own?.length === block.tokenCount) {
      const place = this.#tokens.add(own)
      if (this.#tokens.holds(place, tokens, from, to)) {
        block.tokensAt = place
        return true
      }
      this.#tokens.remove(place, block.tokenCount)
    }
    const place = this.#placeOf(block)
    return place !== unreadable && this.#tokens.holds(place, tokens, from, to)
  }

  #placeOf(block: CachedBlock): number {
    if (block.tokensAt !== unread) return block.tokensAt
    const tokens = this.#readTokens(block.hash)
    const isOwn = tokens !== null && this.#isNamed(block, tokens)
    block.tokensAt = isOwn ? this.#tokens.add(tokens) : unreadable
    if (!isOwn) this.damage.unreadable(block, tokens)
    return block.tokensAt
  }

  /** Ids with a wrong bit would match another prompt, for which the block's bytes are wrong. */
  #isNamed({ hash, parent, tokenCount }: CachedBlock, tokens: TokenIds): boolean {
    return tokens.length === tokenCount && blockHash(this.#hash64, parent.hash, tokens) === hash
  }
}

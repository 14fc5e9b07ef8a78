/**
 * Replays a trace on a tier of a certain size, by the very order that the cache evicts by. A
 * request is served the blocks that its prompt begins with and that are all there; then its others
 * are stored, for which others go, leaves first, and never any of its own.
 */
import { Keeper } from '../../cache/keeper.ts'
import { type Links, unlisted } from '../../cache/recency.ts'
import { freshKeepClass } from '../../cache/retention.ts'
import { RetentionOrder } from '../../cache/retention-order.ts'
import type { Policy } from './policies.ts'
import type { Trace, TraceBlock } from './trace.ts'

export interface Replay {
  /** Replays the next request. Returns how many blocks of it were there. */
  next(): number
  readonly usedBytes: number
}

interface Node {
  readonly block: TraceBlock
  readonly key: number
  readonly links: Links<Node>
  isStored: boolean
  storedChildren: number
  lastUsedAtMs: number
  keepClass: number
  /** The last request that used it. */
  request: number
}

/** `onEvicted` sees each block that goes, as its index in the trace. */
export function replay(
  trace: Trace,
  policy: Exclude<Policy, 'optimum'>,
  capacityBytes: number,
  onEvicted: (block: number) => void = () => {},
): Replay {
  const nodes = trace.blocks.map((block, key): Node => newNode(block, key))
  const keeper = new Keeper(policy, blocksIn(capacityBytes, trace))
  const order = new RetentionOrder<Node>({
    linksOf: (node) => node.links,
    keepClassOf: (node) => node.keepClass,
    lastUsedAtMsOf: (node) => node.lastUsedAtMs,
    weightOf: (keepClass) => keeper.weightOf(keepClass),
    now: () => nowMs,
  })
  let usedBytes = 0
  let request = -1
  let nowMs = 0

  function evictOne(): boolean {
    for (const node of order) {
      if (node.storedChildren > 0 || node.request === request) continue
      node.links.list?.remove(node)
      node.isStored = false
      usedBytes -= node.block.sizeBytes
      const parent = nodes[node.block.parent]
      if (parent !== undefined) parent.storedChildren--
      onEvicted(node.key)
      return true
    }
    return false
  }

  function store(node: Node): boolean {
    if (node.isStored) return true
    const { sizeBytes, parent } = node.block
    if (sizeBytes > capacityBytes) return false
    while (usedBytes + sizeBytes > capacityBytes) if (!evictOne()) return false
    node.isStored = true
    usedBytes += sizeBytes
    const before = nodes[parent]
    if (before !== undefined) before.storedChildren++
    return true
  }

  /** From the last block to the first, so that children are older. */
  function touch(path: readonly Node[]): void {
    const upwards = path.toReversed()
    keeper.used(upwards, ({ key, block }) => ({ key, ...block }))
    for (const node of upwards) {
      node.lastUsedAtMs = nowMs
      if (node.isStored) order.touch(node)
    }
  }

  return {
    get usedBytes() {
      return usedBytes
    },
    next() {
      const { atMs, blocks } = trace.requests[++request] ?? { atMs: 0, blocks: [] }
      nowMs = atMs
      const path = blocks.map((index) => nodes[index] as Node)
      const missing = path.findIndex((node) => !node.isStored)
      for (const node of path) node.request = request
      for (const node of path) if (!store(node)) break
      touch(path)
      return missing < 0 ? path.length : missing
    },
  }
}

const newNode = (block: TraceBlock, key: number): Node => ({
  block,
  key,
  links: unlisted(),
  isStored: false,
  storedChildren: 0,
  lastUsedAtMs: 0,
  keepClass: freshKeepClass,
  request: -1,
})

/** About how many blocks of this trace the tier holds. */
function blocksIn(capacityBytes: number, { blocks }: Trace): number {
  const allBytes = blocks.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  return Math.max(1, Math.ceil((blocks.length * Math.min(capacityBytes, allBytes)) / allBytes))
}

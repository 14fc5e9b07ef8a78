/**
 * A trace through the real cache, admission and budget included, with a clock of its own and tiers
 * that keep no bytes: what is measured is what goes where, not how fast.
 */
import xxhash from 'xxhash-wasm'
import { Cache } from '../cache/cache.ts'
import { createArena } from '../cache/tiers/arena.ts'
import type { SsdTier, StoredRecord } from '../cache/tiers/tier.ts'
import type { BlockHash, Layout, Namespace, TokenIds } from '../cache/types.ts'
import { limits } from '../src/config/limits.ts'
import type { Trace } from '../src/simulate/trace.ts'

const dayMs = 24 * 3_600_000
/** A block of the trace is one of these, whatever it had in the original. */
const blockTokens = 16
const blockBytes = 4096
/** What the arena gives to the smallest record. */
const granuleBytes = 64 * 1024

const layout: Layout = {
  kinds: ['kv'],
  sliceable: true,
  refusal: null,
  kvBytesPerToken: blockBytes / blockTokens,
  kvFixedBytes: 0,
  rowBytesPerToken: blockBytes / blockTokens,
  boundaryBytes: 0,
}
const rates = { prefillTokensPerMs: null, restoreBytesPerMs: { ram: null, ssd: null } } as const
const namespace = 'a'.repeat(64) as Namespace

export interface WearOptions {
  readonly ramBlocks: number
  readonly ssdBlocks: number
  /** The trace's length becomes this. */
  readonly days: number
  /** Null: all that is computed is written. */
  readonly blocksPerDay: number | null
}

export interface Wear {
  readonly hitBlocks: number
  readonly writtenBlocks: number
  /** Most blocks that were written in 24 hours, wherever these begin. */
  readonly mostInADay: number
  readonly evictedBlocks: number
}

export async function replayWear(trace: Trace, options: WearOptions): Promise<Wear> {
  const { h64Raw } = await xxhash()
  const clock = { nowMs: 0 }
  const writesAtMs: number[] = []
  const { ramBlocks, ssdBlocks, blocksPerDay } = options
  const cache = new Cache({
    ...limits,
    arena: createArena({ sizeBytes: ramBlocks * granuleBytes, shared: false }),
    ssd: countingTier(ssdBlocks, () => void writesAtMs.push(clock.nowMs)),
    hash64: (bytes) => h64Raw(bytes),
    blockTokens,
    reuse: 'token',
    boundaryTokens: blockTokens,
    eviction: 'retention',
    rememberedBlocks: ssdBlocks,
    rememberedDamages: 16,
    ssdWritesPerDayBytes: blocksPerDay === null ? null : blocksPerDay * blockBytes,
    now: () => clock.nowMs,
    warn: (message, error) => {
      throw new Error(message, { cause: error })
    },
  })
  const lengthMs = trace.requests.at(-1)?.atMs ?? 1
  let hitBlocks = 0
  for (const { atMs, blocks } of trace.requests) {
    clock.nowMs = (atMs / lengthMs) * options.days * dayMs
    hitBlocks += await serve(cache, blocks)
    await cache.flush()
  }
  const evictedBlocks = cache.usage().find(({ tier }) => tier === 'ssd')?.evictedRecords ?? 0
  cache.arena.close()
  return {
    hitBlocks,
    writtenBlocks: writesAtMs.length,
    mostInADay: mostWithin(writesAtMs, dayMs),
    evictedBlocks,
  }
}

/** Restores and saves as a worker would. Returns the blocks that were there. */
async function serve(cache: Cache, blocks: readonly number[]): Promise<number> {
  const tokens = tokensOf(blocks)
  const lease = cache.lease({ namespace, tokens, layout, rates, read: true, spill: true })
  const hitBlocks = lease.plan.records.length
  try {
    for await (const _ of lease.windows());
    lease.confirmRestored(lease.plan.computeFrom)
    for (let at = Math.floor(lease.plan.computeFrom / blockTokens); at < blocks.length; at++) {
      const from = at * blockTokens
      const to = from + blockTokens
      const own = tokens.subarray(from, to)
      const saveable = { kind: 'kv', from, to, sizeBytes: blockBytes, grid: true } as const
      const extent = await lease.reserve({ ...saveable, tokens: own })
      if (extent !== null) lease.commit(extent, [0])
    }
  } finally {
    lease.release()
  }
  return hitBlocks
}

/** No two blocks of a trace have the same. */
function tokensOf(blocks: readonly number[]): TokenIds {
  const tokens = new Uint32Array(blocks.length * blockTokens)
  for (const [at, block] of blocks.entries()) {
    tokens.fill(block, at * blockTokens, (at + 1) * blockTokens)
  }
  return tokens
}

function countingTier(ssdBlocks: number, onWritten: () => void): SsdTier {
  const stored = new Map<BlockHash, TokenIds>()
  const freeBytes = () => (ssdBlocks - stored.size) * blockBytes
  let writes: string | null = null
  return {
    usage: () => ({
      usedBytes: stored.size * blockBytes,
      budgetBytes: ssdBlocks * blockBytes,
      capacityBytes: ssdBlocks * blockBytes,
      fileBytes: stored.size * blockBytes,
      records: stored.size,
      readBytes: 0,
      writtenBytes: 0,
      directIo: false,
      disk: { state: 'enough', freeBytes: null, resumesAtBytes: null },
    }),
    async look() {},
    resize() {},
    isBehind: () => false,
    records: () => [] as StoredRecord[],
    tokens: (hash) => stored.get(hash) ?? null,
    damagedTokens: () => null,
    writes: () => writes,
    allocatedBytes: () => blockBytes,
    freeBytes,
    async write({ hash }, tokens, _bytes, said) {
      if (freeBytes() < blockBytes) throw new Error('the cache has made no room')
      stored.set(hash, tokens)
      writes = said ?? writes
      onWritten()
    },
    async read() {},
    async remove(keys) {
      for (const { hash } of keys) stored.delete(hash)
      return keys.length * blockBytes
    },
    examine() {
      throw new Error('the bench keeps no bytes')
    },
    async quarantine() {},
    touch() {},
    notes: () => new Map(),
    async note() {},
    async close() {},
  }
}

/** `atMs` rises. */
function mostWithin(atMs: readonly number[], windowMs: number): number {
  let most = 0
  let first = 0
  for (const [last, ms] of atMs.entries()) {
    while ((atMs[first] as number) <= ms - windowMs) first++
    most = Math.max(most, last - first + 1)
  }
  return most
}

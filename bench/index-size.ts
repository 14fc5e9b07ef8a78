/** What a large index costs: planning a long prompt over a million blocks, opening a full store. */
import { closeSync, ftruncateSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import xxhash from 'xxhash-wasm'
import { Cache, openCache } from '../cache/index.ts'
import { createArena } from '../cache/tiers/arena.ts'
import { lockDirectory } from '../cache/tiers/directory-lock.ts'
import { formatVersion } from '../cache/tiers/record-format.ts'
import { openRecordIndex } from '../cache/tiers/record-index.ts'
import { slotBytes } from '../cache/tiers/slab.ts'
import type { SsdTier } from '../cache/tiers/tier.ts'
import type { Hash64, TokenIds } from '../cache/types.ts'
import { limits } from '../src/config/limits.ts'
import { plainFigure } from './figures.ts'
import { median, quantile } from './median.ts'
import type { Figure, Part, PartOptions } from './part.ts'
import {
  blockTokens,
  chainBlocks,
  makeChains,
  namespace,
  type StoredChains,
} from './stored-chains.ts'

const boundaryTokens = 1024
const arenaBytes = 64 * 1024 * 1024
const commitsAtOnce = 1000
/** Prompts of one round, each planned for the first time and then so often again. */
const roundPrompts = 200
const plansAgain = 3
const rounds = 5
/** Of two prompts of a round: more than there are rounds, so that no two have the same chains. */
const chainsApart = 10

export const indexSize: Part = async (options) => {
  const { h64Raw } = await xxhash()
  const hash64: Hash64 = (bytes) => h64Raw(bytes)
  return [...(await measureOpen(options, hash64)), measurePlan(options, hash64)]
}

/** Index only: the token ids come out of memory, not out of LMDB. */
function measurePlan({ quick, progress }: PartOptions, hash64: Hash64): Figure {
  const chainCount = quick ? 10 : 2_000
  const blockCount = chainCount * chainBlocks
  progress(`index: ${blockCount} blocks in memory`)
  const chains = makeChains(hash64, blockCount)
  const arena = createArena({ sizeBytes: arenaBytes, shared: false })
  const cache = new Cache({
    arena,
    ssd: memoryTier(chains),
    hash64,
    blockTokens,
    reuse: 'token',
    boundaryTokens,
    boundaryShare: limits.boundaryShare,
    keptShare: limits.keptShare,
    keptHints: limits.keptHints,
    eviction: 'retention',
    ssdWritesPerDayBytes: null,
    rememberedBlocks: limits.rememberedBlocks,
    rememberedDamages: limits.rememberedDamages,
    restoreWindowBytes: limits.restoreWindowBytes,
    reserveWaitMs: limits.reserveWaitMs,
    ssdWritesInFlight: limits.ssdWritesInFlight,
    now: () => 0,
    warn: () => {},
  })
  const planMs = (tokens: TokenIds): number => {
    const startedAt = performance.now()
    const lease = cache.lease({ namespace, tokens, layout, rates, read: true, spill: true })
    const tookMs = performance.now() - startedAt
    if (lease.plan.matchedTokens !== tokens.length) throw new Error('a stored prompt was not found')
    lease.release()
    return tookMs
  }
  // The same memory in every round: fresh memory would make the collector walk the index.
  const memory = Array.from(
    { length: Math.min(roundPrompts, chainCount / chainsApart) },
    () => new Uint32Array(chainBlocks * blockTokens),
  )
  const timesOf = (round: number): number[] => {
    const prompts = memory.map((tokens, at) => chains.prompt(round + at * chainsApart, tokens))
    return Array.from({ length: 1 + plansAgain }, () => prompts.map(planMs)).flat()
  }
  // A service holds its index for hours: the collector is done with what building it has left, and
  // the code is compiled. In this order, since a collection also takes compiled code away.
  collectGarbage()
  timesOf(rounds)
  const p99Ms = Array.from({ length: rounds }, (_, round) => quantile(timesOf(round), 0.99))
  arena.close()
  return plainFigure(
    {
      id: 'plan_128k_p99_ms',
      what: `plan of 128k tokens over ${blockCount.toLocaleString('en-US')} blocks, p99`,
      unit: 'ms',
      promise: { bound: 'at most', value: 5 },
    },
    median(p99Ms),
  )
}

function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
}

const layout = {
  kinds: ['kv'],
  sliceable: true,
  refusal: null,
  kvBytesPerToken: 16,
  kvFixedBytes: 0,
  rowBytesPerToken: 16,
  boundaryBytes: 0,
} as const
const rates = { prefillTokensPerMs: null, restoreBytesPerMs: { ram: null, ssd: null } } as const

const noUsage = {
  usedBytes: 0,
  budgetBytes: 0,
  capacityBytes: 0,
  fileBytes: 0,
  records: 0,
  readBytes: 0,
  writtenBytes: 0,
  directIo: false,
  disk: { state: 'enough', freeBytes: null, resumesAtBytes: null },
} as const

/** Says what is stored and does nothing else. */
function memoryTier(chains: StoredChains): SsdTier {
  const refuse = () => Promise.reject(new Error('the bench only plans'))
  return {
    usage: () => noUsage,
    look: refuse,
    resize: () => {},
    isBehind: () => false,
    records: () => chains.records(),
    tokens: (hash) => chains.tokens(hash),
    damagedTokens: () => null,
    writes: () => null,
    allocatedBytes: () => slotBytes,
    freeBytes: () => 0,
    examine: () => {
      throw new Error('the bench only plans')
    },
    write: refuse,
    read: refuse,
    remove: refuse,
    quarantine: refuse,
    touch: () => {},
    notes: () => new Map(),
    note: refuse,
    close: async () => {},
  }
}

async function measureOpen(
  { quick, scratch, progress }: PartOptions,
  hash64: Hash64,
): Promise<Figure[]> {
  const blockCount = (quick ? 2 : 200) * chainBlocks
  const directory = join(scratch.directory, 'store')
  progress(`index: a store of ${blockCount} blocks`)
  await writeStore(directory, makeChains(hash64, blockCount), blockCount)
  const times: number[] = []
  for (let round = 0; round < (quick ? 1 : 5); round += 1) {
    const startedAt = performance.now()
    const opened = await openCache({
      ...limits,
      eviction: 'retention',
      ssdWritesPerDayBytes: null,
      directory,
      ramBytes: arenaBytes,
      ssdBytes: blockCount * slotBytes,
      blockTokens,
      boundaryTokens,
      reuse: 'token',
      now: () => Date.now(),
      warn: (message) => {
        throw new Error(message)
      },
    })
    times.push(performance.now() - startedAt)
    if (opened.cache.index.blockCount !== blockCount) throw new Error('blocks are missing')
    await opened.close()
  }
  return [
    plainFigure(
      {
        id: 'open_100k_ms',
        what: `open a store of ${blockCount.toLocaleString('en-US')} blocks`,
        unit: 'ms',
        promise: { bound: 'at most', value: 1000 },
      },
      median(times),
    ),
  ]
}

/** The index as the tier writes it, and a slab of the right length without any block behind it. */
async function writeStore(
  directory: string,
  chains: StoredChains,
  blockCount: number,
): Promise<void> {
  const lock = lockDirectory(directory)
  const format = { version: formatVersion, slotBytes }
  const index = await openRecordIndex({ directory, format, onWarning: () => {} })
  let slot = 0
  let commits: Promise<void>[] = []
  for (const record of chains.records()) {
    const tokens = chains.tokens(record.hash)
    if (tokens === null) throw new Error('a chain does not know its own block')
    const entry = { record, runs: [{ first: slot, count: 1 }] }
    slot += 1
    commits.push(index.commit({ put: { entry, tokens: tokens.slice() } }))
    if (commits.length < commitsAtOnce) continue
    await Promise.all(commits)
    commits = []
  }
  await Promise.all(commits)
  await index.close()
  const fd = openSync(join(directory, 'spill.slab'), 'w', 0o600)
  ftruncateSync(fd, blockCount * slotBytes)
  closeSync(fd)
  lock.release()
}

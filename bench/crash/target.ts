/**
 * A process to be killed: the pipeline, the cache and the SSD tier with the fake engine inside. It
 * saves, evicts, restores and changes its budgets as fast as it can. Arguments: directory, seed. It
 * loads everything, waits for a line on its standard input, which names the file of what its
 * predecessors have promised, opens the directory, looks for all of that, and then works until it
 * is killed.
 *
 * What it says is out before it goes on: `open N`, `lost HASH`, `wrong WHAT`, `checked TOKENS`,
 * `ready`, `+HASH …` for what is acknowledged, `-HASH` before a removal begins, whatever it makes
 * room for, `resized` when a budget has changed, and `moving` before what lies behind the tier's
 * end is written again.
 */
import { readFileSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import xxhash from 'xxhash-wasm'
import { cutBlocks } from '../../cache/chain.ts'
import type { Cache } from '../../cache/index.ts'
import { type CachedBlock, isBlock, recordOf } from '../../cache/prefix-index.ts'
import { openSsdTier } from '../../cache/tiers/ssd.ts'
import type { SsdTier } from '../../cache/tiers/tier.ts'
import type { BlockHash } from '../../cache/types.ts'
import { readEncryptionKey } from '../../src/config/encryption-key.ts'
import { createColdEngine, createConversations } from '../faults/conversations.ts'
import { blockTokens, type Profile } from '../faults/profile.ts'
import type { Acknowledged } from '../faults/promises.ts'
import { createDesk, type Desk } from '../faults/requests.ts'
import { openService, type ServiceLife, workerOptions } from '../faults/service-life.ts'
import { createRandom, type Random } from '../random.ts'

const mebibyte = 1024 * 1024

/** A block has 64 KiB; a few dozen prompts fill the SSD tier. */
const profile: Profile = {
  layout: 'kv',
  bytesPerToken: 4096,
  reuse: 'token',
  eviction: 'retention',
  sequences: 4,
  ramBytes: 12 * mebibyte,
  ssdBytes: 192 * mebibyte,
  promptTokensMax: 200,
  answerTokensMax: 12,
  rots: false,
  shares: {},
}
const clients = 4
/** Prompts of earlier lives that are asked for again at each start. */
const askedAgain = 4

const say = (line: string): void => void writeSync(1, `${line}\n`)

/** Blocks that have been told to leave in this life. */
const leaving = new Set<BlockHash>()

/** Says which records are about to leave. */
async function openTier(directory: string, capacityBytes: number): Promise<SsdTier> {
  const tier = await openSsdTier({
    directory,
    capacityBytes,
    stepBytes: 8 * mebibyte,
    freeDiskFloorBytes: 0,
    readsInFlight: 4,
    writesInFlight: 4,
    encryptionKey: readEncryptionKey({ encryptKeyFile: null, keepText: false }, process.env),
    onWarning: (message) => say(`wrong ${message}`),
  })
  return {
    ...tier,
    remove(keys) {
      for (const { hash } of keys) {
        leaving.add(hash)
        say(`-${hash}`)
      }
      return tier.remove(keys)
    },
    write(...given) {
      if (tier.isBehind(given[0])) say('moving')
      return tier.write(...given)
    },
  }
}

/** The blocks of what was acknowledged, as far as the SSD tier has them. */
function hashesOf(cache: Cache, hash64: (bytes: Uint8Array) => bigint, promise: Acknowledged) {
  const { namespace, tokens, count } = promise
  const hashes: BlockHash[] = []
  for (const { hash, to } of cutBlocks(hash64, namespace, tokens, blockTokens)) {
    if (to > count) break
    const block = cache.index.get(hash)
    if (block !== undefined && recordOf(block, 'kv')?.ssd === 'stored') hashes.push(hash)
  }
  return hashes
}

/** What was promised must be there, behind all that it stands on. */
function checkPromises(cache: Cache, promised: readonly BlockHash[]): void {
  for (const hash of promised) {
    // A tier that opens with less begins to make room at once.
    if (leaving.has(hash)) continue
    const block = cache.index.get(hash)
    if (block === undefined || recordOf(block, 'kv')?.ssd !== 'stored') say(`lost ${hash}`)
  }
}

/** A stored chain that ends with this block. */
function chainTo(cache: Cache, hash: BlockHash): CachedBlock[] {
  const chain: CachedBlock[] = []
  let node = cache.index.get(hash)
  while (node !== undefined) {
    chain.push(node)
    node = isBlock(node.parent) ? node.parent : undefined
  }
  return chain.reverse()
}

/** Asks for all of it again, unless it leaves meanwhile. */
async function askAgain(life: ServiceLife, desk: Desk, hash: BlockHash): Promise<void> {
  const chain = chainTo(life.cache, hash)
  const tokens = chain.flatMap((block) => [...life.cache.index.tokensOf(block)])
  const prompt = Uint32Array.from([...tokens, 7])
  const { receipt } = await desk.send(life, { ...usual, prompt, answerTokens: 3, write: false })
  const restored = receipt?.restoredTokens ?? 0
  say(`checked ${restored}`)
  if (restored >= tokens.length || chain.some((block) => leaving.has(block.hash))) return
  const why = receipt?.reasons.join('; ') ?? 'no receipt'
  say(`wrong ${restored} of ${tokens.length} tokens restored: ${why}`)
}

/** Several clients, and somebody who evicts or changes budgets now and then; never ends. */
async function work(life: ServiceLife, desk: Desk, random: Random): Promise<void> {
  const conversations = createConversations(random, profile.promptTokensMax)
  const client = async (): Promise<never> => {
    for (;;) {
      const prompt = conversations.nextPrompt()
      const answerTokens = random.integer(1, profile.answerTokensMax)
      const { answer } = await desk.send(life, { ...usual, prompt, answerTokens, write: true })
      conversations.remember(Uint32Array.from([...prompt, ...answer]))
      if (random.next() < 0.25) resize(life, random)
      const blocks = [...life.cache.index.blocks()]
      if (blocks.length === 0 || random.next() < 0.95) continue
      await life.cache.evict([...life.cache.index.subtree(random.pick(blocks))], null)
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
}

/** To less or to more; what is there goes, or moves, in the midst of all that is saved. */
function resize({ cache: { budgets } }: ServiceLife, random: Random): void {
  const part = random.pick([0.25, 0.5, 0.75, 1])
  if (random.next() < 0.3) void budgets.resizeRam(profile.ramBytes * part)
  else void budgets.resizeSsd(profile.ssdBytes * part)
  say('resized')
}

const usual = { salt: '', read: true, spill: true, choices: 1, ttlMs: null }

async function main(): Promise<void> {
  const [directory, seedText] = process.argv.slice(2) as [string, string]
  const random = createRandom(Number(seedText))
  const { h64Raw } = await xxhash()
  const hash64 = (bytes: Uint8Array): bigint => h64Raw(bytes)
  const askCold = await createColdEngine(workerOptions(profile))
  const journal = {
    // Nothing on this disk is damaged but by a kill.
    note: (what: string) => void (what.includes('could not be read') && say(`wrong ${what}`)),
    broken: (what: string) => say(`wrong ${what}`),
  }
  const [file] = await new Promise<string[]>((resolve) =>
    createInterface({ input: process.stdin }).once('line', (line) => resolve([line])),
  )
  const clock = {
    get nowMs() {
      return performance.now()
    },
    after(delayMs: number, call: () => void) {
      const timer = setTimeout(call, delayMs)
      return () => clearTimeout(timer)
    },
  }
  const startedAt = performance.now()
  const life = await openService({
    clock,
    random,
    journal,
    profile,
    hash64,
    openTier: () => openTier(directory, profile.ssdBytes * random.pick([0.5, 1])),
  })
  say(`open ${(performance.now() - startedAt).toFixed(0)}`)
  const promised = readFileSync(file as string, 'utf8')
    .split('\n')
    .filter(Boolean) as BlockHash[]
  checkPromises(life.cache, promised)
  const desk = createDesk(journal, askCold, {
    acknowledge(promise) {
      const hashes = hashesOf(life.cache, hash64, promise)
      if (hashes.length > 0) say(`+${hashes.join(' ')}`)
    },
  })
  for (let i = 0; i < Math.min(askedAgain, promised.length); i += 1) {
    await askAgain(life, desk, random.pick(promised))
  }
  say('ready')
  // The last life may have had more.
  life.cache.budgets.begin()
  await work(life, desk, random)
}

await main()

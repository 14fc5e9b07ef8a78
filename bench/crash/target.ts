/**
 * A process to be killed: the pipeline, the cache and the SSD tier with the fake engine inside. It
 * saves, evicts and restores as fast as it can. Arguments: directory, seed. It loads everything,
 * waits for a line on its standard input, which names the file of what its predecessors have
 * promised, opens the directory, looks for all of that, and then works until it is killed.
 *
 * What it says is out before it goes on: `open N`, `lost HASH`, `wrong WHAT`, `checked TOKENS`,
 * `ready`, `+HASH …` for what is acknowledged, and `-HASH` before a removal begins.
 */
import { readFileSync, writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import xxhash from 'xxhash-wasm'
import { cutBlocks } from '../../cache/chain.ts'
import type { Cache } from '../../cache/index.ts'
import { isBlock, recordOf } from '../../cache/prefix-index.ts'
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

/** Says which records are about to leave. */
async function openTier(directory: string): Promise<SsdTier> {
  const tier = await openSsdTier({
    directory,
    capacityBytes: profile.ssdBytes,
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
      for (const { hash } of keys) say(`-${hash}`)
      return tier.remove(keys)
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
function checkPromises(cache: Cache, promised: readonly string[]): void {
  for (const hash of promised) {
    const block = cache.index.get(hash as BlockHash)
    if (block === undefined || recordOf(block, 'kv')?.ssd !== 'stored') say(`lost ${hash}`)
  }
}

/** Tokens of a stored chain that ends with this block. */
function tokensTo(cache: Cache, hash: BlockHash): Uint32Array {
  const parts: Uint32Array[] = []
  let node = cache.index.get(hash)
  while (node !== undefined) {
    parts.push(cache.index.tokensOf(node))
    node = isBlock(node.parent) ? node.parent : undefined
  }
  return Uint32Array.from(parts.reverse().flatMap((part) => [...part]))
}

/** Several clients, and somebody who evicts now and then; never ends. */
async function work(life: ServiceLife, desk: Desk, random: Random): Promise<void> {
  const conversations = createConversations(random, profile.promptTokensMax)
  const client = async (): Promise<never> => {
    for (;;) {
      const prompt = conversations.nextPrompt()
      const answerTokens = random.integer(1, profile.answerTokensMax)
      const { answer } = await desk.send(life, { ...usual, prompt, answerTokens, write: true })
      conversations.remember(Uint32Array.from([...prompt, ...answer]))
      const blocks = [...life.cache.index.blocks()]
      if (blocks.length === 0 || random.next() < 0.95) continue
      await life.cache.evict([...life.cache.index.subtree(random.pick(blocks))], null)
    }
  }
  await Promise.all(Array.from({ length: clients }, client))
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
    openTier: () => openTier(directory),
  })
  say(`open ${(performance.now() - startedAt).toFixed(0)}`)
  const promised = readFileSync(file as string, 'utf8')
    .split('\n')
    .filter(Boolean)
  checkPromises(life.cache, promised)
  const desk = createDesk(journal, askCold, {
    acknowledge(promise) {
      const hashes = hashesOf(life.cache, hash64, promise)
      if (hashes.length > 0) say(`+${hashes.join(' ')}`)
    },
  })
  for (let i = 0; i < Math.min(askedAgain, promised.length); i += 1) {
    const tokens = tokensTo(life.cache, random.pick(promised) as BlockHash)
    const prompt = Uint32Array.from([...tokens, 7])
    const { receipt } = await desk.send(life, { ...usual, prompt, answerTokens: 3, write: false })
    const restored = receipt?.restoredTokens ?? 0
    if (restored < tokens.length) say(`wrong ${restored} of ${tokens.length} tokens restored`)
    say(`checked ${restored}`)
  }
  say('ready')
  await work(life, desk, random)
}

await main()

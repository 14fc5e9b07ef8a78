/**
 * A process that opens damaged stores. `store DIR` makes a healthy one with two prompts in it;
 * `examine DIR CASES FROM` damages a copy of it in each of the ways that the JSON file CASES lists,
 * from the one with that number on, asks for the prompts, and prints what it found, a line each.
 * A copy that is there already has killed a process before: it is opened as it is.
 */
import {
  closeSync,
  cpSync,
  existsSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import xxhash from 'xxhash-wasm'
import { createColdEngine } from '../../bench/faults/conversations.ts'
import { blockTokens, type Profile } from '../../bench/faults/profile.ts'
import { createDesk } from '../../bench/faults/requests.ts'
import { openService, workerOptions } from '../../bench/faults/service-life.ts'
import { createRandom } from '../../bench/random.ts'
import { openSsdTier } from '../../cache/tiers/ssd.ts'

const mebibyte = 1024 * 1024

/** A block has a little more than 1 MiB: two slots. */
export const damagedProfile: Profile = {
  layout: 'kv',
  bytesPerToken: 67_584,
  reuse: 'token',
  eviction: 'lru',
  sequences: 1,
  ramBytes: 16 * mebibyte,
  ssdBytes: 32 * mebibyte,
  promptTokensMax: 80,
  answerTokensMax: 3,
  rots: true,
  shares: {},
}

/** Has the key of the store as hex digits, where it is encrypted. */
export const keyVariable = 'PREFIXD_TEST_STORE_KEY'
const keyHex = process.env[keyVariable]
const encryptionKey = keyHex === undefined ? null : Buffer.from(keyHex, 'hex')

const tokensFrom = (start: number, count: number): number[] =>
  Array.from({ length: count }, (_, at) => (start * 31 + at * 7 + at ** 2) % 250)

/** The second one leaves the first behind its second block. */
export const damagedPrompts: readonly Uint32Array[] = [
  Uint32Array.from(tokensFrom(1, 4 * blockTokens + 5)),
  Uint32Array.from([...tokensFrom(1, 2 * blockTokens), ...tokensFrom(9, 2 * blockTokens + 3)]),
]

/** What is done to a copy of the store. */
export type Damage =
  | { readonly kind: 'flip'; readonly file: string; readonly at: number }
  | { readonly kind: 'zero'; readonly file: string; readonly at: number; readonly count: number }
  | { readonly kind: 'cut'; readonly file: string; readonly at: number }
  | { readonly kind: 'delete'; readonly file: string }

export interface Case {
  readonly name: string
  readonly damages: readonly Damage[]
  /** As a disk does it: the file's times stay as they were. */
  readonly isSilent: boolean
}

export interface Examined {
  readonly number: number
  /** Tokens restored of each prompt, when it was first asked for and then again. */
  readonly restored: readonly number[]
  readonly again: readonly number[]
  readonly wrong: readonly string[]
  readonly warnings: readonly string[]
}

function inflict(directory: string, damage: Damage, isSilent: boolean): void {
  const path = join(directory, damage.file)
  if (damage.kind === 'delete') {
    rmSync(path)
    return
  }
  const { atime, mtime } = statSync(path)
  if (damage.kind === 'cut') truncateSync(path, damage.at)
  else {
    const count = damage.kind === 'zero' ? damage.count : 1
    const bytes = Buffer.alloc(count)
    const fd = openSync(path, 'r+')
    if (damage.kind === 'flip') {
      readSync(fd, bytes, 0, 1, damage.at)
      bytes[0] = (bytes[0] as number) ^ 0x10
    }
    writeSync(fd, bytes, 0, count, damage.at)
    closeSync(fd)
  }
  if (isSilent) utimesSync(path, atime, mtime)
}

async function ask(directory: string, rounds: number): Promise<Omit<Examined, 'number'>> {
  const { h64Raw } = await xxhash()
  const warnings: string[] = []
  const wrong: string[] = []
  const journal = {
    note: (what: string) => void (what.startsWith('warn:') && warnings.push(what)),
    broken: (what: string) => void wrong.push(what),
  }
  const clock = {
    nowMs: 0,
    after(delayMs: number, call: () => void) {
      const timer = setTimeout(call, delayMs)
      return () => clearTimeout(timer)
    },
  }
  const life = await openService({
    clock,
    random: createRandom(1),
    journal,
    profile: damagedProfile,
    hash64: (bytes) => h64Raw(bytes),
    openTier: (onWarning) =>
      openSsdTier({
        directory,
        capacityBytes: damagedProfile.ssdBytes,
        stepBytes: 8 * mebibyte,
        freeDiskFloorBytes: 0,
        readsInFlight: 4,
        writesInFlight: 4,
        encryptionKey,
        onWarning,
      }),
  })
  const askCold = await createColdEngine(workerOptions(damagedProfile))
  const desk = createDesk(journal, askCold, { acknowledge() {} })
  const how = { answerTokens: 3, salt: '', read: true, write: true, spill: true, choices: 1 }
  const restored: number[][] = []
  for (let round = 0; round < rounds; round += 1) {
    restored.push([])
    for (const prompt of damagedPrompts) {
      const { receipt } = await desk.send(life, { ...how, prompt, ttlMs: null }, true)
      restored.at(-1)?.push(receipt?.restoredTokens ?? -1)
    }
  }
  await life.close()
  const [first = [], second = []] = restored
  return { restored: first, again: second, wrong, warnings }
}

async function examine(base: string, casesFile: string, from: number): Promise<void> {
  const cases = JSON.parse(readFileSync(casesFile, 'utf8')) as Case[]
  for (const [number, { damages, isSilent }] of cases.entries()) {
    if (number < from) continue
    const directory = `${base}-case-${number}`
    if (!existsSync(directory)) {
      cpSync(base, directory, { recursive: true, preserveTimestamps: true })
      for (const damage of damages) inflict(directory, damage, isSilent)
    }
    const found: Examined = { number, ...(await ask(directory, 2)) }
    writeSync(1, `${JSON.stringify(found)}\n`)
    rmSync(directory, { recursive: true })
  }
}

if (process.argv[1] === import.meta.filename) {
  const [verb, directory, casesFile, from] = process.argv.slice(2) as [
    string,
    string,
    string,
    string,
  ]
  if (verb === 'store') await ask(directory, 1)
  else await examine(directory, casesFile, Number(from))
}

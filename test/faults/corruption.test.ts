import { spawn } from 'node:child_process'
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { blockTokens } from '../../bench/faults/profile.ts'
import { createRandom } from '../../bench/random.ts'
import { createEntryDecoder, type Entry, formatVersion } from '../../cache/tiers/record-format.ts'
import { openRecordIndex } from '../../cache/tiers/record-index.ts'
import { slotBytes } from '../../cache/tiers/slab.ts'
import {
  type Case,
  type Damage,
  damagedPrompts,
  type Examined,
  keyVariable,
} from '../support/damaged-store.ts'
import { makeDirectory } from '../support/stored-records.ts'

const script = fileURLToPath(new URL('../support/damaged-store.ts', import.meta.url))
const pageBytes = 4096
const slab = 'spill.slab'
const index = 'index.mdb'

/** `npm run proof:corruption` does everything to every page; the tests take turns. */
const isWhole = process.env.PREFIXD_PROOF === 'whole'

const folder = makeDirectory()
afterAll(() => folder.remove())

type Key = Uint8Array | null

interface Run {
  readonly lines: Examined[]
  readonly signal: string | null
  readonly complaint: string
}

function run(words: readonly string[], key: Key): Promise<Run> {
  const env = { ...process.env, ...(key && { [keyVariable]: Buffer.from(key).toString('hex') }) }
  return new Promise((resolve) => {
    const stdio = ['ignore', 'pipe', 'pipe'] as const
    const child = spawn(process.execPath, [script, ...words], { stdio: [...stdio], env })
    let output = ''
    let complaint = ''
    child.stdout.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
    child.stderr.on('data', (chunk: Buffer) => {
      complaint += chunk.toString()
    })
    child.on('close', (code, signal) => {
      const lines = output
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as Examined)
      resolve({ lines, signal: signal ?? (code === 0 ? null : `exit code ${code}`), complaint })
    })
  })
}

interface Outcome extends Examined {
  readonly name: string
  /** Processes that the damage has killed. */
  readonly deaths: number
}

/** A store that kills one process is opened again by the next one, and must not kill that. */
async function examineCopies(base: string, key: Key, cases: readonly Case[]): Promise<Outcome[]> {
  const file = join(folder.path, 'cases.json')
  writeFileSync(file, JSON.stringify(cases))
  const outcomes: Outcome[] = []
  let deaths = 0
  while (outcomes.length < cases.length) {
    const from = outcomes.length
    const { lines, signal, complaint } = await run(['examine', base, file, `${from}`], key)
    for (const line of lines) {
      outcomes.push({ ...line, name: cases[line.number]?.name ?? '', deaths })
      deaths = 0
    }
    if (signal === null) continue
    if (lines.length === 0 && deaths > 0) {
      throw new Error(`${cases[from]?.name}: two processes died of it (${signal}) ${complaint}`)
    }
    deaths = 1
  }
  return outcomes
}

function placeOf({ runs }: Entry, byteIndex: number): number {
  const slots = runs.flatMap(({ first, count }) => [...Array(count).keys()].map((i) => first + i))
  return (slots[Math.floor(byteIndex / slotBytes)] as number) * slotBytes + (byteIndex % slotBytes)
}

const wholes = damagedPrompts.map((prompt) => prompt.length - 1)

const inSlab = (at: number): Damage => ({ kind: 'flip', file: slab, at })

describe.each([
  ['a store', null],
  ['an encrypted store', Buffer.alloc(32, 9)],
])('of %s', (name, encryptionKey) => {
  const base = join(folder.path, name)
  /** The proof takes every turn of an encrypted store too, the tests some. */
  const isTurn = (_: Case, number: number): boolean =>
    isWhole || encryptionKey === null || number % 5 === 0
  /** By place: blocks of the first prompt, then those that only the second one has. */
  let entries: Entry[] = []
  const examine = (cases: readonly Case[]) =>
    examineCopies(base, encryptionKey, cases.filter(isTurn))

  beforeAll(async () => {
    const { signal, complaint } = await run(['store', base], encryptionKey)
    if (signal !== null) throw new Error(`no store could be made: ${signal} ${complaint}`)
    const format = { version: formatVersion, slotBytes }
    const given = { directory: base, format, encryptionKey, onWarning() {} }
    const opened = await openRecordIndex(given)
    for (const { entry } of opened.entries(createEntryDecoder())) {
      if (entry !== null) entries.push(entry)
    }
    await opened.close()
    entries = entries.sort((a, b) => a.record.blockIndex - b.record.blockIndex)
  }, 120_000)

  describe('the slab', () => {
    test('with a wrong bit in any region of a record costs its chain from there on, and is stored anew', async () => {
      const cases: Case[] = []
      const expected = new Map<string, number>()
      for (const entry of entries) {
        const { blockIndex, sizeBytes } = entry.record
        const middle = [slotBytes - 1, slotBytes].filter((at) => at < sizeBytes)
        const places = [0, ...middle, sizeBytes - 1]
        for (const at of places.filter((_, place) => isWhole || place % 2 === blockIndex % 2)) {
          const name = `byte ${at} of block ${blockIndex}`
          cases.push({ name, damages: [inSlab(placeOf(entry, at))], isSilent: true })
          expected.set(name, blockIndex * blockTokens)
        }
      }
      const outcomes = await examine(cases)
      for (const { name, restored, again, wrong, deaths, warnings } of outcomes) {
        expect({ name, wrong, deaths }).toEqual({ name, wrong: [], deaths: 0 })
        // The damaged block is one prompt's or both's; the other one loses nothing.
        const cut = restored.filter((tokens, prompt) => tokens < (wholes[prompt] as number))
        expect({ name, cut: cut[0] }).toEqual({ name, cut: expected.get(name) })
        expect(warnings.join()).toMatch(/wrong checksum|its seal is wrong/)
        expect({ name, again }).toEqual({ name, again: wholes })
      }
    })

    test('with a wrong bit where no record is loses nothing', async () => {
      const [entry] = entries as [Entry]
      const padding = placeOf(entry, entry.record.sizeBytes)
      const free = statSync(join(base, slab)).size - 1
      const cases = [padding, free].map((at) => {
        return { name: `byte ${at}`, damages: [inSlab(at)], isSilent: true }
      })
      for (const { restored, wrong } of await examine(cases)) {
        expect({ restored, wrong }).toEqual({ restored: wholes, wrong: [] })
      }
    })

    test('that was cut anywhere, or is gone, loses what lay behind its end', async () => {
      const places = [0, 1, 4096, slotBytes, slotBytes + 1, 2 * slotBytes, 5 * slotBytes + 4096]
      const cases: Case[] = places.map((at) => {
        return { name: `cut at ${at}`, damages: [{ kind: 'cut', file: slab, at }], isSilent: false }
      })
      cases.push({ name: 'gone', damages: [{ kind: 'delete', file: slab }], isSilent: false })
      for (const { name, wrong, again, deaths } of await examine(cases)) {
        expect({ name, wrong, again, deaths }).toEqual({
          name,
          wrong: [],
          again: wholes,
          deaths: 0,
        })
      }
    })
  })

  describe('the index', () => {
    const random = createRandom(Number(process.env.PREFIXD_TEST_SEED ?? 11))

    function pagesOf(): number[] {
      const count = Math.floor(statSync(join(base, index)).size / pageBytes)
      return Array.from({ length: count }, (_, page) => page)
    }

    /** A page's own header, and anywhere in it. */
    function rotAt(page: number): number[] {
      const offsets = [0, random.integer(0, pageBytes - 1)]
      return isWhole ? offsets : offsets.filter((_, at) => page % 4 === 2 * at)
    }

    test('with any page damaged, cut or deleted is no crash and no wrong token', async () => {
      const cases: Case[] = pagesOf().flatMap((page): Case[] => {
        const at = page * pageBytes
        const flip = at + random.integer(0, pageBytes - 1)
        const named: readonly (readonly [string, Damage])[] = [
          [`byte ${flip}`, { kind: 'flip', file: index, at: flip }],
          [`page ${page} zeroed`, { kind: 'zero', file: index, at, count: pageBytes }],
          [`cut at page ${page}`, { kind: 'cut', file: index, at }],
        ]
        return named
          .filter((_, kind) => isWhole || page % (2 * named.length) === 2 * kind)
          .map(([name, damage]) => ({ name, damages: [damage], isSilent: false }))
      })
      for (const file of [index, 'index.mdb-lock', 'index.clean']) {
        cases.push({ name: `${file} gone`, damages: [{ kind: 'delete', file }], isSilent: false })
      }
      for (const { name, wrong, again, deaths } of await examine(cases)) {
        expect({ name, wrong, again, deaths }).toEqual({
          name,
          wrong: [],
          again: wholes,
          deaths: 0,
        })
      }
    })

    // Its times say that nobody has touched it since it was closed, so it is not read beforehand.
    test('that rots unseen kills one process at most, and gives no wrong token', async () => {
      const cases: Case[] = pagesOf().flatMap((page): Case[] =>
        rotAt(page).map((offset) => {
          const at = page * pageBytes + offset
          const damages: Damage[] = [{ kind: 'flip', file: index, at }]
          return { name: `byte ${at}`, damages, isSilent: true }
        }),
      )
      for (const { name, wrong, again } of await examine(cases)) {
        expect({ name, wrong, again }).toEqual({ name, wrong: [], again: wholes })
      }
    })
  })
})

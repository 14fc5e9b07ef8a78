/**
 * LMDB's place in the simulation: transactions that happen in their order, some time after they
 * were asked for, each wholly or not at all. What is committed survives every death; of what was
 * asked for and not answered, a beginning may be there.
 */
import {
  createEntryDecoder,
  decodeTime,
  decodeTokens,
  type Entry,
  type EntryDecoder,
  encodeEntry,
  encodeHash,
  encodeKey,
  encodeTime,
  encodeTokens,
} from '../../cache/tiers/record-format.ts'
import type { IndexChange, RecordIndex } from '../../cache/tiers/record-index.ts'
import type { BlockHash, Namespace } from '../../cache/types.ts'
import type { Random } from '../random.ts'
import type { DiskFaults } from './faulty-slab.ts'
import type { Journal } from './journal.ts'
import type { VirtualClock } from './virtual-clock.ts'

export interface FaultyIndexOptions {
  readonly clock: VirtualClock
  readonly random: Random
  readonly journal: Journal
  readonly faults: DiskFaults
  readonly onPut: (name: string, entry: Entry) => void
  readonly onRemoved: (name: string, entry: Entry, tokens: Uint32Array) => void
}

export interface FaultyIndex {
  open(): Promise<RecordIndex>
  /** The durable record that has this slot, by name. */
  ownerOf(slot: number): string | null
  entryOf(name: string): Entry | null
  tokensOf(entry: Entry): Uint32Array
  /** Durable records, by name. */
  readonly entries: ReadonlyMap<string, Entry>
  die(): void
}

/** As people see it in reports: the hash, a colon, the kind. */
export const nameOf = ({ record }: Entry): string => `${record.hash}:${record.kind}`

type Apply = () => void

interface Commit {
  readonly apply: Apply
  readonly settle: (error: Error | null) => void
}

const hex = (key: Buffer): string => key.toString('hex')

export function createFaultyIndex(options: FaultyIndexOptions): FaultyIndex {
  const { clock, random, journal, faults } = options
  /** As LMDB has them: encoded, by key. */
  const records = new Map<string, Buffer>()
  const tokens = new Map<string, Buffer>()
  const uses = new Map<string, Buffer>()
  const notes = new Map<Namespace, string>()
  const said: Tables['said'] = { writes: null, pins: null }
  const entries = new Map<string, Entry>()
  const owners = new Map<number, string>()
  let pending: Commit[] = []
  let lastAtMs = 0

  const tokensOf = ({ record }: Entry): Uint32Array =>
    decodeTokens(tokens.get(record.hash) ?? Buffer.alloc(0))

  function removeEntry(keyHex: string): void {
    const value = records.get(keyHex)
    if (value === undefined) return
    records.delete(keyHex)
    const entry = createEntryDecoder().decode(Buffer.from(keyHex, 'hex'), value)
    if (entry === null) return
    entries.delete(nameOf(entry))
    for (const slot of slotsOf(entry)) owners.delete(slot)
    options.onRemoved(nameOf(entry), entry, tokensOf(entry))
  }

  function putEntry(keyHex: string, entry: Entry, value: Buffer): void {
    for (const slot of slotsOf(entry)) {
      const owner = owners.get(slot)
      if (owner !== undefined) journal.broken(`slot ${slot} has two owners, ${owner} is the first`)
      owners.set(slot, nameOf(entry))
    }
    records.set(keyHex, value)
    entries.set(nameOf(entry), entry)
    options.onPut(nameOf(entry), entry)
  }

  /** What is encoded now is what is written, whatever happens to the arguments later. */
  function applyOf(change: IndexChange): Apply {
    const removed = (change.remove ?? []).map((key) => hex(encodeKey(key)))
    const forgotten = (change.forget ?? []).map((hash) => hex(encodeHash(hash)))
    const used = [...(change.uses ?? [])].map(([hash, atMs]) => [hash, encodeTime(atMs)] as const)
    const put = change.put && {
      ...change.put,
      key: hex(encodeKey(change.put.entry.record)),
      value: encodeEntry(change.put.entry),
      ids: Buffer.from(encodeTokens(change.put.tokens)),
    }
    return () => {
      for (const key of removed) removeEntry(key)
      if (put !== undefined && records.has(put.key)) removeEntry(put.key)
      for (const hash of forgotten) {
        tokens.delete(hash)
        uses.delete(hash)
      }
      for (const [hash, time] of used) uses.set(hash, time)
      said.writes = change.writes ?? said.writes
      if (put === undefined) return
      tokens.set(put.entry.record.hash, put.ids)
      putEntry(put.key, put.entry, put.value)
    }
  }

  function commit(apply: Apply): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (error: Error | null): void => (error === null ? resolve() : reject(error))
      const own: Commit = { apply, settle }
      pending.push(own)
      const stalls = random.next() < faults.stalls
      lastAtMs = Math.max(lastAtMs, clock.nowMs + (stalls ? 2_000 : random.next() * 6))
      clock.after(lastAtMs - clock.nowMs, () => {
        pending = pending.filter((each) => each !== own)
        if (random.next() < faults.failedWrites) return settle(new Error('commit failed: EIO'))
        if (faults.isFull && random.next() < 0.2) return settle(new Error('No space left'))
        apply()
        settle(null)
      })
    })
  }

  return {
    entries,
    tokensOf,
    ownerOf: (slot) => owners.get(slot) ?? null,
    entryOf: (name) => entries.get(name) ?? null,
    async open() {
      await clock.pass(random.next() * 5)
      return createIndex({
        records,
        tokens,
        uses,
        notes,
        said,
        commit,
        applyOf,
        removeEntry,
        clock,
      })
    },
    die() {
      const survivors = random.integer(0, pending.length)
      for (const { apply } of pending.slice(0, survivors)) apply()
      pending = []
      lastAtMs = 0
    },
  }
}

function slotsOf({ runs }: Entry): number[] {
  return runs.flatMap(({ first, count }) => Array.from({ length: count }, (_, at) => first + at))
}

interface Tables {
  readonly records: Map<string, Buffer>
  readonly tokens: Map<string, Buffer>
  readonly uses: Map<string, Buffer>
  readonly notes: Map<Namespace, string>
  readonly said: { writes: string | null; pins: string | null }
  readonly clock: VirtualClock
  commit(apply: Apply): Promise<void>
  applyOf(change: IndexChange): Apply
  removeEntry(keyHex: string): void
}

function createIndex(tables: Tables): RecordIndex {
  const { records, tokens, uses, notes } = tables
  // The next read overwrites what the last one has returned, as LMDB's own buffer does.
  const shared = Buffer.alloc(64 * 1024)
  const tokensOf = (hash: BlockHash) => {
    const bytes = tokens.get(hash)
    shared.fill(0xff)
    return bytes === undefined ? null : decodeTokens(shared.subarray(0, bytes.copy(shared)))
  }

  return {
    sealing: null,
    *entries(decoder: EntryDecoder) {
      for (const keyHex of [...records.keys()].sort()) {
        const key = Buffer.from(keyHex, 'hex')
        const use = uses.get(keyHex.slice(0, 16))
        const usedAtMs = use === undefined ? 0 : decodeTime(use)
        yield { key, entry: decoder.decode(key, records.get(keyHex) as Buffer, usedAtMs) }
      }
    },
    keys(after, limit) {
      const sorted = [...records.keys()].sort()
      const behind = after === null ? sorted : sorted.filter((key) => key > hex(after))
      return behind.slice(0, limit).map((key) => Buffer.from(key, 'hex'))
    },
    entry(decoder, key) {
      const value = records.get(hex(key))
      return value === undefined ? undefined : decoder.decode(key, value)
    },
    get recordCount() {
      return records.size
    },
    strays() {
      const owned = new Set([...records.keys()].map((key) => key.slice(0, 16)))
      const named = new Set([...tokens.keys(), ...uses.keys()])
      return [...named].filter((hash) => !owned.has(hash)) as BlockHash[]
    },
    tokens: tokensOf,
    damagedTokens: tokensOf,
    commit: (change) => tables.commit(tables.applyOf(change)),
    removeRaw: (keys) =>
      tables.commit(() => {
        for (const key of keys) tables.removeEntry(hex(key))
      }),
    writes: () => tables.said.writes,
    notes: () => new Map(notes),
    note: (namespace, text) =>
      tables.commit(
        () => void (text === '' ? notes.delete(namespace) : notes.set(namespace, text)),
      ),
    pins: {
      read: () => tables.said.pins,
      write: (text) =>
        tables.commit(() => {
          tables.said.pins = text
        }),
    },
    close: () => tables.clock.pass(1),
  }
}

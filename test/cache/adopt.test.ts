import { expect, test } from 'vitest'
import xxhash from 'xxhash-wasm'
import { adoptStored } from '../../cache/adopt.ts'
import { rootHash } from '../../cache/chain.ts'
import { DamageLog } from '../../cache/damage.ts'
import { PrefixIndex } from '../../cache/prefix-index.ts'
import type { StoredRecord } from '../../cache/tiers/tier.ts'
import type { Namespace, RecordKind } from '../../cache/types.ts'
import { createRandom, hashOf } from '../support/stored-records.ts'

const { h64Raw } = await xxhash()
const hash64 = (bytes: Uint8Array) => h64Raw(bytes)
const namespace = 'n'.repeat(64) as Namespace
const root = rootHash(hash64, namespace)
const blockTokens = 256

interface Stored {
  /** Null: the first of its chain. */
  readonly parent: number | null
  readonly blockIndex: number
  readonly kind?: RecordKind
  readonly lastUsedAtMs?: number
}

const recordOf = (number: number, { parent, blockIndex, ...more }: Stored): StoredRecord => ({
  hash: hashOf(number),
  kind: 'kv',
  namespace,
  parent: parent === null ? root : hashOf(parent),
  blockIndex,
  tokenCount: blockTokens,
  grid: true,
  sizeBytes: 4096,
  crc32s: [0],
  createdAtMs: 0,
  lastUsedAtMs: 0,
  ...more,
})

/** Two chains of five blocks that share the first two, and a window at the end of each. */
const forest: readonly StoredRecord[] = [
  ...[0, 1, 2, 3, 4].map((at) =>
    recordOf(at, { parent: at === 0 ? null : at - 1, blockIndex: at }),
  ),
  ...[12, 13, 14].map((at) =>
    recordOf(at, { parent: at === 12 ? 1 : at - 1, blockIndex: at - 10, lastUsedAtMs: 5 }),
  ),
  recordOf(4, { parent: 3, blockIndex: 4, kind: 'window' }),
  recordOf(14, { parent: 13, blockIndex: 4, kind: 'window', lastUsedAtMs: 5 }),
]

function shuffled(records: readonly StoredRecord[], seed: number): StoredRecord[] {
  const random = createRandom(seed)
  const rest = [...records]
  return records.map(() => rest.splice(random(rest.length), 1)[0] as StoredRecord)
}

function adopted(records: readonly StoredRecord[]) {
  const unused = { ssd: null, rememberedDamages: 1, now: () => 0, warn: () => {} }
  const index = new PrefixIndex(hash64, () => null, new DamageLog(unused))
  return { index, ...adoptStored(index, records) }
}

test('every block stands on its parent, in whatever order they are read', () => {
  for (let seed = 1; seed <= 50; seed++) {
    const { index, records, orphans } = adopted(shuffled(forest, seed * 7919))
    expect(orphans).toEqual([])
    expect(records).toHaveLength(forest.length)
    for (const { hash, parent } of forest) expect(index.get(hash)?.parent.hash).toBe(parent)
  }
})

test('what was used last comes last, and of what was used together children come first', () => {
  for (let seed = 1; seed <= 50; seed++) {
    const { records } = adopted(shuffled(forest, seed * 7919))
    const order = records.map(({ block }) => [block.lastUsedAtMs, -block.index] as const)
    const isBefore = ([a, b]: (typeof order)[number], [c, d]: (typeof order)[number]) =>
      a < c || (a === c && b <= d)
    for (const [at, each] of order.slice(1).entries()) {
      expect(isBefore(order[at] as (typeof order)[number], each)).toBe(true)
    }
  }
})

test('what stands on nothing is told of, whatever stands on it', () => {
  const torn = forest.filter(({ hash }) => hash !== hashOf(1))
  const { index, orphans } = adopted(shuffled(torn, 5))
  expect([...index.blocks()].map(({ hash }) => hash)).toEqual([hashOf(0)])
  expect(orphans).toHaveLength(torn.length - 1)
})

test('blocks that name each other as parents are garbage, and no circle', () => {
  const circle = [
    recordOf(20, { parent: 21, blockIndex: 3 }),
    recordOf(21, { parent: 20, blockIndex: 2 }),
  ]
  const { index, orphans } = adopted([...circle, ...forest])
  expect(index.blockCount).toBe(8)
  expect(orphans.map(({ hash }) => hash).toSorted()).toEqual([hashOf(20), hashOf(21)])
})

test('a chain whose end is read is made in one piece', () => {
  const chain = Array.from({ length: 40 }, (_, at) =>
    recordOf(100 + at, { parent: at === 0 ? null : 99 + at, blockIndex: at }),
  )
  const others = shuffled([...chain.slice(0, -1), ...forest], 11)
  const { index } = adopted([chain.at(-1) as StoredRecord, ...others])
  const hashes = [...index.blocks()].map(({ hash }) => hash)
  expect(hashes.slice(0, chain.length)).toEqual(chain.map(({ hash }) => hash))
})

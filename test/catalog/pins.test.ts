/** Pins when one of their two places is lost: the index of the SSD tier, or the catalog. */
import { rmSync } from 'node:fs'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import { decodePins, encodePins } from '../../src/catalog/pin-set.ts'
import type { Pin } from '../../src/catalog/types.ts'
import { catalogFolder } from '../support/open-catalog.ts'

const pin: Pin = { hash: '9f2c41d07ab3e5f0', untilMs: null, createdAtMs: 1000 }
const shortPin: Pin = { hash: '51aa0e93cc17d2b4', untilMs: 5000, createdAtMs: 2000 }

/** A directory with a catalog and, in place of an index, its text. */
function pinFolder() {
  const folder = catalogFolder()
  const index = { text: null as string | null, isFull: false }
  const storedPins = {
    read: () => index.text,
    async write(text: string) {
      if (index.isFull) throw new Error('MDB_MAP_FULL')
      index.text = text
    },
  }
  const sql = (statement: string) => {
    const db = new Database(folder.path)
    db.exec(statement)
    db.close()
  }
  return {
    ...folder,
    index,
    open: () => folder.open(undefined, undefined, { storedPins }).pins,
    openRamOnly: () => folder.open().pins,
    loseCatalog() {
      for (const part of ['', '-wal', '-shm']) rmSync(folder.path + part, { force: true })
    },
    sql,
  }
}

test('what is pinned is still pinned after a restart, in the order in which it was', async () => {
  for (const how of ['open', 'openRamOnly'] as const) {
    const folder = pinFolder()
    const { [how]: open, warnings } = folder
    await open().replace([shortPin, pin])
    // As they were pinned: a start with smaller tiers has no room for the last ones.
    expect(open().all()).toEqual([pin, shortPin])
    expect(warnings).toEqual([])
  }
})

test('a pin is there after catalog.db was deleted, and after the index was', async () => {
  const { open, loseCatalog, index } = pinFolder()
  await open().replace([pin, shortPin])
  loseCatalog()
  expect(open().all()).toEqual([pin, shortPin])
  // The start before has told the new catalog, and this one tells the new index.
  index.text = null
  expect(open().all()).toEqual([pin, shortPin])
  loseCatalog()
  expect(open().all()).toEqual([pin, shortPin])
})

test('an unpinned block stays unpinned after either place was lost', async () => {
  const { open, loseCatalog, index } = pinFolder()
  const pins = open()
  await pins.replace([pin, shortPin])
  await pins.replace([shortPin])
  await pins.replace([])
  loseCatalog()
  expect(open().all()).toEqual([])
  index.text = null
  expect(open().all()).toEqual([])
})

test('a change that reached the index only counts, also where the clock went back', async () => {
  const { open, index, clock, sql } = pinFolder()
  await open().replace([pin])
  clock.ms -= 86_400_000
  sql('CREATE TRIGGER refused BEFORE DELETE ON pins BEGIN SELECT RAISE(ABORT, "full"); END')
  await open().replace([shortPin])
  sql('DROP TRIGGER refused')
  expect(open().all()).toEqual([shortPin])
  index.text = null
  expect(open().all()).toEqual([shortPin])
})

test('a change that the index refuses is none, now and after a restart', async () => {
  const { open, index } = pinFolder()
  const pins = open()
  await pins.replace([pin])
  index.isFull = true
  await expect(pins.replace([shortPin])).rejects.toMatchObject({ code: 'PREFIXD_E_CATALOG' })
  expect(pins.all()).toEqual([pin])
  index.isFull = false
  expect(open().all()).toEqual([pin])
})

test('what an older prefixd has pinned reaches the index, and is there without its catalog', async () => {
  const { open, openRamOnly, loseCatalog, sql } = pinFolder()
  await openRamOnly().replace([pin])
  sql('DROP TABLE pins_changed')
  expect(open().all()).toEqual([pin])
  loseCatalog()
  expect(open().all()).toEqual([pin])
  // Started again, it changes its own table and does not say when.
  sql(`INSERT INTO pins VALUES ('${shortPin.hash}', 5000, 2000)`)
  expect(open().all()).toEqual([pin, shortPin])
})

test('what was changed without an SSD tier counts for the next start with one', async () => {
  const { open, openRamOnly, loseCatalog } = pinFolder()
  await open().replace([pin])
  await openRamOnly().replace([shortPin])
  expect(open().all()).toEqual([shortPin])
  loseCatalog()
  expect(open().all()).toEqual([shortPin])
})

test.each(['{', '{"changedAtMs":9e15,"pins":[{"hash":"9F2C"}]}', '[]', 'null'])(
  'where the index says %s the pins of the catalog count',
  async (text) => {
    const { open, index, warnings } = pinFolder()
    await open().replace([pin])
    index.text = text
    expect(open().all()).toEqual([pin])
    expect(warnings).toEqual([expect.stringContaining('those of the catalog count')])
    expect(open().all()).toEqual([pin])
    expect(warnings).toHaveLength(1)
  },
)

test('the index has the text that docs/on-disk-format.md says', () => {
  const text =
    '{"changedAtMs":3000,"pins":[' +
    '{"hash":"9f2c41d07ab3e5f0","untilMs":null,"createdAtMs":1000},' +
    '{"hash":"51aa0e93cc17d2b4","untilMs":5000,"createdAtMs":2000}]}'
  expect(encodePins({ changedAtMs: 3000, pins: [pin, shortPin] })).toBe(text)
  expect(decodePins(text)).toEqual({ changedAtMs: 3000, pins: [pin, shortPin] })
})

import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, test } from 'vitest'
import type { Pin } from '../../src/catalog/types.ts'
import { catalogFolder } from '../support/open-catalog.ts'

const pin: Pin = { hash: '9f2c41d07ab3e5f0', untilMs: null, createdAtMs: 1000 }
const shortPin: Pin = { hash: '51aa0e93cc17d2b4', untilMs: 5000, createdAtMs: 2000 }

test('only the owner may read the catalog', async () => {
  const { open, path } = catalogFolder()
  await open().pins.replace([pin])
  for (const part of ['', '-wal', '-shm']) expect(statSync(path + part).mode & 0o777).toBe(0o600)
})

test('a file that is no catalog is set aside with a warning, and a new one begun', async () => {
  const { open, path, warnings } = catalogFolder()
  writeFileSync(path, 'not a database, but long enough to be looked at as one'.repeat(100))
  const catalog = open()
  expect(catalog.pins.all()).toEqual([])
  await catalog.pins.replace([pin])
  expect(open().pins.all()).toEqual([pin])
  expect(readFileSync(`${path}.aside`, 'utf8')).toContain('not a database')
  expect(warnings).toEqual([expect.stringContaining('begun anew')])
})

test('a catalog that is gone from beside what it told of is missed with a warning', () => {
  const { open, warnings } = catalogFolder()
  open(undefined, false, { besideBlocks: true }).close()
  expect(warnings).toEqual([expect.stringContaining('no catalog beside what is stored')])
  open(undefined, false, { besideBlocks: true })
  expect(warnings).toHaveLength(1)
})

test('a catalog of another version is set aside whole', async () => {
  const { open, path, warnings } = catalogFolder()
  const before = open()
  await before.pins.replace([pin])
  before.close()
  const other = new Database(path)
  other.pragma('user_version = 999')
  other.close()

  expect(open().pins.all()).toEqual([])
  expect(warnings).toEqual([expect.stringContaining('begun anew')])
  const aside = new Database(`${path}.aside`, { readonly: true })
  expect(aside.prepare('SELECT hash FROM pins').pluck().all()).toEqual([pin.hash])
  aside.close()
})

test('a catalog that is damaged while it is in use is begun anew, and goes on', async () => {
  const { open, path, warnings } = catalogFolder()
  const before = open()
  await before.pins.replace([pin])
  before.close()
  const sizeBytes = statSync(path).size
  const catalog = open()
  // Its first page says what it is; nothing behind that is right any more.
  truncateSync(path, 4096)
  truncateSync(path, sizeBytes)
  expect(await catalog.requests.find('req_0')).toBeNull()
  expect(warnings).toEqual([expect.stringContaining('begun anew')])
  await catalog.pins.replace([shortPin])
  expect(open().pins.all()).toEqual([shortPin])
})

test('where no file can be written the catalog lives in memory, and says so', async () => {
  const { open, directory, warnings } = catalogFolder()
  const catalog = open(join(directory, 'missing'))
  await catalog.pins.replace([pin])
  expect(catalog.pins.all()).toEqual([pin])
  expect(warnings).toEqual([expect.stringContaining('cannot be written')])
})

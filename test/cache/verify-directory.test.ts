import { existsSync, readFileSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { open as openLmdb } from 'lmdb'
import { describe, expect, it } from 'vitest'
import { verifyDirectory } from '../../cache/index.ts'
import { createEntryDecoder, type Entry, encodeEntry } from '../../cache/tiers/record-format.ts'
import { openDatabases } from '../../cache/tiers/record-index.ts'
import {
  blockTokens,
  long,
  other,
  readVerification,
  useCacheDirectory,
} from '../support/cache-directory.ts'
import { flipByte } from '../support/flip-byte.ts'
import { serveToy } from '../support/toy-engine.ts'

const mebibyte = 1024 ** 2
const directory = useCacheDirectory()

const offline = (repair = false, path = directory.path) =>
  readVerification(verifyDirectory({ directory: path, repair, readsInFlight: 4, warn: () => {} }))

type Databases = ReturnType<typeof openDatabases>

/** Changes what LMDB has behind everybody's back. */
async function tamper(change: (databases: Databases) => Promise<unknown>): Promise<void> {
  const path = join(directory.path, 'index.mdb')
  const root = openLmdb<Buffer, Buffer>({ path, noSubdir: true, maxDbs: 4 })
  await change(openDatabases(root))
  await root.close()
}

interface Stored {
  readonly key: Buffer
  readonly entry: Entry
}

/** Each value is good until the next one. */
function storedIn({ records }: Databases): Stored[] {
  const stored: Stored[] = []
  for (const { key, value } of records.getRange()) {
    const entry = createEntryDecoder().decode(key, value) as Entry
    stored.push({ key: Buffer.from(key), entry })
  }
  return stored
}

/** The `index`th block of the longer prompt. */
function blockOf(databases: Databases, index: number): Stored {
  const stored = storedIn(databases)
  const last = stored.find(({ entry }) => entry.record.blockIndex === 3)
  let at = last
  while (at !== undefined && at.entry.record.blockIndex > index) {
    const { parent } = at.entry.record
    at = stored.find(({ entry }) => entry.record.hash === parent)
  }
  if (at === undefined) throw new Error('no such block is stored')
  return at
}

describe('a directory without a service', () => {
  it('in which all is as it was stored has nothing to report, and is left as it is', async () => {
    await directory.store()
    const before = readFileSync(directory.slab)
    const { findings, report } = await offline()
    expect(findings).toEqual([])
    expect(report).toMatchObject({ records: 6, findings: 0, corrupt: 0, removedRecords: 0 })
    expect(report.sizeBytes).toBe(6 * 64 * blockTokens)
    expect(readFileSync(directory.slab).equals(before)).toBe(true)
    const { cache, warnings } = await directory.open()
    expect((await serveToy(cache, long)).restored).toBe(long.length - 1)
    expect(warnings).toEqual([])
  })

  const damages: readonly [what: string, kind: string, gone: number, () => Promise<unknown>][] = [
    [
      'a byte of a record that flipped',
      'checksum',
      3,
      async () => flipByte(directory.slab, 1 * mebibyte + 777),
    ],
    [
      'a slab that ends too early',
      'checksum',
      1,
      async () => truncateSync(directory.slab, 5 * mebibyte + 4096),
    ],
    [
      'a damaged entry',
      'entry',
      3,
      () =>
        tamper(async (databases) => {
          const { key, entry } = blockOf(databases, 1)
          await databases.records.put(key, encodeEntry(entry).fill(7, 20, 24))
        }),
    ],
    [
      'other token ids',
      'tokens',
      3,
      () =>
        tamper(async (databases) => {
          const { key } = blockOf(databases, 1)
          const hash = key.subarray(0, 8)
          const ids = Buffer.from(databases.tokens.get(hash) as Buffer)
          await databases.tokens.put(hash, ids.fill(9, 40, 41))
        }),
    ],
    [
      'token ids that are missing',
      'tokens',
      1,
      () =>
        tamper(async (databases) => {
          await databases.tokens.remove(blockOf(databases, 3).key.subarray(0, 8))
        }),
    ],
    [
      'a parent that is missing',
      'orphan',
      2,
      () =>
        tamper(async (databases) => {
          const { key } = blockOf(databases, 1)
          await databases.records.remove(key)
          await databases.tokens.remove(key.subarray(0, 8))
        }),
    ],
    [
      'a slot that two records claim',
      'slots',
      1,
      () =>
        tamper(async (databases) => {
          const { entry } = blockOf(databases, 0)
          const last = blockOf(databases, 3)
          const record = { ...last.entry.record, crc32s: entry.record.crc32s }
          await databases.records.put(last.key, encodeEntry({ record, runs: entry.runs }))
        }),
    ],
  ]

  it.each(damages)('with %s says so, and a repair takes out what needs it', async (...given) => {
    const [, kind, gone, damage] = given
    await directory.store()
    await damage()
    const { findings } = await offline()
    expect(findings.map((finding) => finding.kind)).toContain(kind)
    expect(findings.every(({ mended }) => !mended)).toBe(true)
    // Nothing was changed by looking.
    expect((await offline()).findings).toEqual(findings)

    const repaired = await offline(true)
    expect(repaired.report.removedRecords).toBeGreaterThanOrEqual(gone)
    expect(await offline()).toMatchObject({ findings: [], report: { corrupt: 0 } })

    const { cache, warnings } = await directory.open()
    for (const prompt of [long, other]) await serveToy(cache, prompt)
    expect(warnings).toEqual([])
    for (const prompt of [long, other]) {
      expect((await serveToy(cache, prompt)).restored).toBe(prompt.length - 1)
    }
  })

  it('loses to a repair only what stands on a damaged record', async () => {
    await directory.store()
    flipByte(directory.slab, 1 * mebibyte + 777)
    expect((await offline(true)).report).toMatchObject({ corrupt: 1, removedRecords: 3 })
    const { cache } = await directory.open()
    expect((await serveToy(cache, long)).restored).toBe(blockTokens)
    expect((await serveToy(cache, other)).restored).toBe(other.length - 1)
  })

  it('with token ids that no record has tells of a leak, which is no damage', async () => {
    await directory.store()
    const stray = Buffer.from('0123456789abcdef', 'hex')
    await tamper(({ tokens }) => tokens.put(stray, Buffer.alloc(64)))
    expect(await offline()).toMatchObject({
      findings: [{ kind: 'leak', hash: null, mended: false }],
      report: { findings: 1, corrupt: 0 },
    })
    expect((await offline(true)).findings).toMatchObject([{ kind: 'leak', mended: true }])
    expect((await offline()).findings).toEqual([])
  })

  it('with an index that cannot be read says so, and keeps it until a repair', async () => {
    await directory.store()
    for (let page = 0; page < 64; page++)
      flipByte(join(directory.path, 'index.mdb'), page * 4096 + 24)
    expect(await offline()).toMatchObject({ findings: [{ kind: 'index' }], report: { corrupt: 1 } })
    expect(existsSync(join(directory.path, 'index.broken-1'))).toBe(false)
    expect(await offline(true)).toMatchObject({ findings: [{ kind: 'index', mended: true }] })
    expect(existsSync(join(directory.path, 'index.broken-1'))).toBe(true)
    expect((await offline()).report).toMatchObject({ records: 0, findings: 0 })
  })

  it('of an older format is refused and left as it is; a start sets its index aside', async () => {
    await directory.store()
    const format = Buffer.from(JSON.stringify({ version: 0, slotBytes: mebibyte }))
    await tamper(({ meta }) => meta.put(Buffer.from('format'), format))
    await expect(offline(true)).rejects.toMatchObject({ code: 'PREFIXD_E_CACHE_FORMAT' })
    const { cache, warnings } = await directory.open()
    expect(warnings).toEqual([
      expect.stringMatching(/format 0 of an older prefixd.*index.format-0/),
    ])
    expect(existsSync(join(directory.path, 'index.format-0'))).toBe(true)
    expect(cache.index.blockCount).toBe(0)
    await serveToy(cache, long)
    expect((await serveToy(cache, long)).restored).toBe(long.length - 1)
  })

  it('is refused while a service has it, and where nothing is stored', async () => {
    const { close } = await directory.open()
    await expect(offline()).rejects.toMatchObject({ code: 'PREFIXD_E_CACHE_LOCKED' })
    await close()
    const elsewhere = join(directory.path, 'elsewhere')
    await expect(offline(false, elsewhere)).rejects.toMatchObject({
      code: 'PREFIXD_E_CACHE_DIRECTORY',
    })
    expect(statSync(elsewhere, { throwIfNoEntry: false })).toBe(undefined)
  })
})

import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { open as openLmdb } from 'lmdb'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createEntryDecoder, encodeEntry, encodeKey } from '../../cache/tiers/record-format.ts'
import { openDatabases } from '../../cache/tiers/record-index.ts'
import { fileIo } from '../../cache/tiers/slab-file.ts'
import type { SsdTierOptions } from '../../cache/tiers/ssd.ts'
import type { SsdTier, StoredRecord } from '../../cache/tiers/tier.ts'
import {
  alignedBytes,
  expectStored,
  MiB,
  makeDirectory,
  makePayload,
  openTestTier,
  paddedBytes,
  tokensOf,
} from '../support/stored-records.ts'

const encryptionKey = Buffer.alloc(32, 7)

let directory: ReturnType<typeof makeDirectory>
let opened: SsdTier | null = null

beforeEach(() => {
  directory = makeDirectory()
})

afterEach(async () => {
  await close()
  directory.remove()
})

async function close(): Promise<void> {
  await opened?.close()
  opened = null
}

/** Closes the tier that is open, as a restart does. */
async function open(options: Partial<SsdTierOptions> = {}): Promise<SsdTier> {
  await close()
  opened = await openTestTier(directory.path, { encryptionKey, ...options })
  return opened
}

async function store(tier: SsdTier, number: number, sizeBytes: number): Promise<StoredRecord> {
  const { record, tokens, bytes } = makePayload(number, sizeBytes)
  await tier.write(record, tokens, bytes)
  return record
}

const read = (tier: SsdTier, record: StoredRecord) =>
  tier.read(record, alignedBytes(paddedBytes(record.sizeBytes)))

const slabPath = () => join(directory.path, 'spill.slab')
const indexPath = () => join(directory.path, 'index.mdb')
const isCode = (code: string) => ({ code: `PREFIXD_E_CACHE_${code}` })

/** All files of the directory in one piece. */
const allFiles = (): Buffer =>
  Buffer.concat(readdirSync(directory.path).map((name) => readFileSync(join(directory.path, name))))

function readSlot(slot: number): Buffer {
  const bytes = Buffer.alloc(MiB)
  const fd = openSync(slabPath(), 'r')
  readSync(fd, bytes, 0, MiB, slot * MiB)
  closeSync(fd)
  return bytes
}

function writeSlot(slot: number, bytes: Buffer): void {
  const fd = openSync(slabPath(), 'r+')
  writeSync(fd, bytes, 0, bytes.length, slot * MiB)
  closeSync(fd)
}

function swapSlots(a: number, b: number): void {
  const [first, second] = [readSlot(a), readSlot(b)]
  writeSlot(a, second)
  writeSlot(b, first)
}

describe('an encrypted record', () => {
  test.each([0, 1, 4096, MiB, MiB + 1, 4 * MiB, 9 * MiB - 3])(
    'of %d bytes survives a restart',
    async (sizeBytes) => {
      const record = await store(await open(), 1, sizeBytes)
      const tier = await open()
      expect([...tier.records()]).toEqual([record])
      expect(tier.tokens(record.hash)).toEqual(tokensOf(record.hash))
      if (sizeBytes > 0) await expectStored(tier, record)
    },
  )

  test('leaves the copy in RAM as it was', async () => {
    const { record, tokens, bytes } = makePayload(1, 2 * MiB)
    const before = Buffer.from(bytes)
    await (await open()).write(record, tokens, bytes)
    expect(before.equals(bytes)).toBe(true)
  })

  test('is one of many that are written and read at once', async () => {
    const tier = await open({ capacityBytes: 64 * MiB })
    const payloads = [1, 2, 3, 4, 5, 6, 7].map((number) => makePayload(number, 9 * MiB - number))
    await Promise.all(
      payloads.map(({ record, tokens, bytes }) => tier.write(record, tokens, bytes)),
    )
    await Promise.all(payloads.map(({ record }) => expectStored(tier, record)))
  })

  test('whose write the disk refuses is not stored, and the next one is', async () => {
    let refuses = true
    const write: typeof fileIo.write = (...given) =>
      refuses
        ? Promise.reject(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' }))
        : fileIo.write(...given)
    const tier = await open({ io: { write } })
    await expect(store(tier, 1, 6 * MiB)).rejects.toMatchObject(isCode('FULL'))
    expect(tier.usage()).toMatchObject({ records: 0, usedBytes: 0 })
    refuses = false
    await expectStored(tier, await store(tier, 2, 6 * MiB))
  })
})

describe('on the disk', () => {
  /** Words of the payload, of what lies behind its end in RAM, and the token ids. */
  function secrets(): Buffer[] {
    const { tokens, bytes } = makePayload(1, MiB + 5)
    const at = (from: number) => Buffer.from(bytes.subarray(from, from + 24))
    return [at(0), at(MiB - 24), at(MiB + 64), Buffer.from(tokens.buffer)]
  }

  test.each([
    ['with a key nothing of a record can be read', encryptionKey, []],
    ['without one all of it can, so this test would find it', null, [0, 1, 2, 3]],
  ])('%s', async (_, key, found) => {
    await store(await open({ encryptionKey: key }), 1, MiB + 5)
    await close()
    const files = allFiles()
    const seen = secrets().flatMap((secret, number) => (files.includes(secret) ? [number] : []))
    expect(seen).toEqual(found)
  })

  test('the same bytes never look the same', async () => {
    const tier = await open()
    const { record, tokens, bytes } = makePayload(1, MiB)
    await tier.write(record, tokens, bytes)
    await tier.write({ ...record, kind: 'state' }, tokens, bytes)
    expect(readSlot(0).equals(readSlot(1))).toBe(false)
  })

  test('nothing is left of an earlier store that was not encrypted and has lost its index', async () => {
    await store(await open({ encryptionKey: null }), 1, MiB + 5)
    await close()
    rmSync(indexPath())
    await open()
    expect(allFiles().includes(secrets()[0] as Buffer)).toBe(false)
  })
})

describe('a key', () => {
  test.each([
    ['no key', null, /is encrypted, and no key was given.*--encrypt-key-file/],
    ['another key', Buffer.alloc(32, 8), /encrypted with another key/],
  ])('is needed: with %s the store is refused, and stays as it is', async (_, key, message) => {
    const record = await store(await open(), 1, MiB)
    await close()
    const before = readFileSync(indexPath())
    const refusal = open({ encryptionKey: key })
    await expect(refusal).rejects.toMatchObject({
      ...isCode('KEY'),
      message: expect.stringMatching(message),
    })
    expect(readFileSync(indexPath()).equals(before)).toBe(true)
    await expectStored(await open(), record)
  })

  test('is refused for a store that is not encrypted, which stays as it is', async () => {
    const record = await store(await open({ encryptionKey: null }), 1, MiB)
    await expect(open()).rejects.toMatchObject({
      ...isCode('KEY'),
      message: expect.stringMatching(/is not encrypted, and a key was given/),
    })
    await expectStored(await open({ encryptionKey: null }), record)
  })

  test('makes other bytes in every store', async () => {
    await store(await open(), 1, MiB)
    await close()
    const { path: first } = directory
    const slab = readFileSync(slabPath())
    rmSync(first, { recursive: true })
    await store(await open(), 1, MiB)
    expect(readFileSync(slabPath()).equals(slab)).toBe(false)
  })
})

describe('what was put in another place', () => {
  test('does not open: a slot of another record', async () => {
    const tier = await open()
    const [a, b] = [await store(tier, 1, MiB), await store(tier, 2, MiB)]
    swapSlots(0, 1)
    for (const record of [a, b]) {
      await expect(read(tier, record)).rejects.toMatchObject(isCode('CORRUPT'))
    }
    swapSlots(0, 1)
    for (const record of [a, b]) await expectStored(tier, record)
  })

  test('does not open: a slot with its whole entry', async () => {
    const tier = await open()
    const [a, b] = [await store(tier, 1, MiB), await store(tier, 2, MiB)]
    await close()
    await withDatabases(async ({ records, tokens }) => {
      const [keyA, keyB] = [encodeKey(a), encodeKey(b)]
      const theirs = createEntryDecoder().decode(keyB, Buffer.from(records.get(keyB) as Buffer))
      if (theirs === null) throw new Error('no entry')
      await records.put(keyA, encodeEntry(theirs))
      await records.remove(keyB)
      const [hashA, hashB] = [keyA.subarray(0, 8), keyB.subarray(0, 8)]
      await tokens.put(hashA, Buffer.from(tokens.get(hashB) as Buffer))
    })
    const again = await open()
    await expect(read(again, a)).rejects.toMatchObject({
      ...isCode('CORRUPT'),
      message: expect.stringMatching(/its seal is wrong/),
    })
    expect(again.tokens(a.hash)).toBeNull()
  })

  test('does not open: two MiB of one record', async () => {
    const tier = await open()
    const record = await store(tier, 1, 2 * MiB)
    swapSlots(0, 1)
    await expect(read(tier, record)).rejects.toMatchObject(isCode('CORRUPT'))
  })

  test('does not open: a version that was written before', async () => {
    const tier = await open()
    const before = await store(tier, 1, MiB)
    const old = readSlot(0)
    await tier.remove([before])
    const record = await store(tier, 1, MiB)
    expect(readSlot(0).equals(old)).toBe(false)
    writeSlot(0, old)
    await expect(read(tier, record)).rejects.toMatchObject(isCode('CORRUPT'))
  })
})

async function withDatabases(
  use: (databases: ReturnType<typeof openDatabases>) => Promise<void>,
): Promise<void> {
  expect(existsSync(indexPath())).toBe(true)
  const root = openLmdb<Buffer, Buffer>({ path: indexPath(), noSubdir: true, maxDbs: 4 })
  await use(openDatabases(root))
  await root.close()
}

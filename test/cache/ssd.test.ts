import {
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { open as openLmdb } from 'lmdb'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { lockDirectory } from '../../cache/tiers/directory-lock.ts'
import { fileIo, type SlabIo } from '../../cache/tiers/slab-file.ts'
import type { SsdTierOptions } from '../../cache/tiers/ssd.ts'
import type { SsdTier } from '../../cache/tiers/tier.ts'
import type { RecordKind } from '../../cache/types.ts'
import {
  alignedBytes,
  expectStored,
  hashOf,
  MiB,
  makeDirectory,
  makePayload,
  openTestTier,
  paddedBytes,
  tokensOf,
} from '../support/stored-records.ts'

let directory: ReturnType<typeof makeDirectory>
let warnings: string[]
let opened: SsdTier | null = null

beforeEach(() => {
  directory = makeDirectory()
  warnings = []
})

afterEach(async () => {
  await opened?.close()
  opened = null
  directory.remove()
})

/** Closes the tier that is open, as a restart does. */
async function open(options: Partial<SsdTierOptions> = {}): Promise<SsdTier> {
  await opened?.close()
  opened = null
  const onWarning = (message: string) => void warnings.push(message)
  opened = await openTestTier(directory.path, { onWarning, ...options })
  return opened
}

async function close(): Promise<void> {
  await opened?.close()
  opened = null
}

async function store(tier: SsdTier, number: number, sizeBytes: number, kind: RecordKind = 'kv') {
  const { record, tokens, bytes } = makePayload(number, sizeBytes, undefined, kind)
  await tier.write(record, tokens, bytes)
  return record
}

function read(tier: SsdTier, record: { sizeBytes: number; hash: string; kind: string }) {
  return tier.read(record as never, alignedBytes(paddedBytes(record.sizeBytes)))
}

const slabPath = () => join(directory.path, 'spill.slab')
const indexPath = () => join(directory.path, 'index.mdb')
const isCode = (code: string) => ({ code: `PREFIXD_E_CACHE_${code}` })
const failing = (code: string) => Promise.reject(Object.assign(new Error(code), { code }))

describe('a record', () => {
  test.each([1, 4096, MiB, MiB + 1, 5 * MiB - 3])(
    'of %d bytes survives a restart',
    async (sizeBytes) => {
      const record = await store(await open(), 1, sizeBytes)
      const tier = await open()
      expect([...tier.records()]).toEqual([record])
      await expectStored(tier, record)
      expect(tier.usage()).toMatchObject({
        records: 1,
        usedBytes: Math.ceil(sizeBytes / MiB) * MiB,
        readBytes: paddedBytes(sizeBytes),
      })
    },
  )

  test('takes whole slots', async () => {
    const tier = await open()
    expect(tier.allocatedBytes(1)).toBe(MiB)
    expect(tier.allocatedBytes(MiB + 1)).toBe(2 * MiB)
    await store(tier, 1, MiB + 1)
    expect(tier.freeBytes()).toBe(14 * MiB)
  })

  test('replaces itself when it is written again', async () => {
    const tier = await open()
    await store(tier, 1, 3 * MiB)
    const shorter = await store(tier, 1, MiB)
    expect(tier.usage()).toMatchObject({ records: 1, usedBytes: MiB })
    await expectStored(await open(), shorter)
  })

  test('gives its slots back when it is removed, and stays away', async () => {
    const tier = await open()
    const record = await store(tier, 1, 2 * MiB)
    expect(await tier.remove([record, { hash: hashOf(9), kind: 'kv' }])).toBe(2 * MiB)
    expect(await tier.remove([record])).toBe(0)
    expect(tier.usage()).toMatchObject({ records: 0, usedBytes: 0 })
    expect([...(await open()).records()]).toEqual([])
  })

  test('leaves no free slot before LMDB has committed its removal', async () => {
    const tier = await open()
    const [old, other] = [await store(tier, 1, 8 * MiB), await store(tier, 2, 8 * MiB)]
    const removal = tier.remove([old])
    expect(tier.freeBytes()).toBe(0)
    await expect(store(tier, 3, MiB)).rejects.toMatchObject(isCode('FULL'))
    await removal
    const { record, tokens, bytes } = makePayload(2, MiB)
    const replacing = tier.write({ ...record, hash: other.hash }, tokens, bytes)
    expect(tier.freeBytes()).toBe(7 * MiB)
    await replacing
    expect(tier.freeBytes()).toBe(15 * MiB)
  })

  test('has taken its room when its write begins, though the file has yet to grow', async () => {
    const tier = await open({ stepBytes: MiB })
    const { record, tokens, bytes } = makePayload(1, 3 * MiB)
    const { capacityBytes } = tier.usage()
    const writing = tier.write(record, tokens, bytes)
    expect(tier.freeBytes()).toBe(capacityBytes - 3 * MiB)
    await writing
    expect(tier.freeBytes()).toBe(capacityBytes - 3 * MiB)
  })

  test('is removed once, however many ask for it at the same time', async () => {
    const tier = await open()
    const record = await store(tier, 1, 2 * MiB)
    const freed = await Promise.all([tier.remove([record]), tier.remove([record, record])])
    expect(freed).toEqual([2 * MiB, 0])
  })

  test('in quarantine is gone, and its slots rest until the next start', async () => {
    const tier = await open()
    const record = await store(tier, 1, 2 * MiB)
    await tier.quarantine(record)
    expect(tier.usage()).toMatchObject({ records: 0, usedBytes: 2 * MiB })
    expect((await open()).usage()).toMatchObject({ records: 0, usedBytes: 0 })
  })
})

describe('tokens', () => {
  test('are shared by the kinds of a block and go with the last of them', async () => {
    const tier = await open()
    const kv = await store(tier, 1, MiB, 'kv')
    const state = await store(tier, 1, MiB, 'state')
    await tier.remove([kv])
    expect(tier.tokens(kv.hash)).toEqual(tokensOf(kv.hash))
    await expectStored(tier, state)
    await tier.remove([state])
    expect(tier.tokens(kv.hash)).toBeNull()
  })

  test('stay when one kind is removed while another is being written', async () => {
    const tier = await open()
    const kv = await store(tier, 1, MiB, 'kv')
    const [state] = await Promise.all([store(tier, 1, MiB, 'state'), tier.remove([kv])])
    await expectStored(tier, state)
    expect((await open()).tokens(kv.hash)).toEqual(tokensOf(kv.hash))
  })

  test('of an unknown block are null', async () => {
    expect((await open()).tokens(hashOf(1))).toBeNull()
  })
})

describe('damage', () => {
  test('of one bit anywhere in a record is found', async () => {
    const tier = await open()
    const record = await store(tier, 1, 3 * MiB - 10)
    const healthy = readFileSync(slabPath())
    const fd = openSync(slabPath(), 'r+')
    for (const byte of [0, MiB - 1, MiB, 3 * MiB - 11]) {
      const original = healthy[byte] as number
      writeSync(fd, Uint8Array.of(original ^ 1), 0, 1, byte)
      await expect(read(tier, record)).rejects.toMatchObject(isCode('CORRUPT'))
      writeSync(fd, Uint8Array.of(original), 0, 1, byte)
    }
    await expectStored(tier, record)
  })

  test('by a slab that was cut drops what lies beyond and finds what is cut in the middle', async () => {
    const tier = await open()
    const [whole, cut, beyond] = [
      await store(tier, 1, MiB),
      await store(tier, 2, MiB),
      await store(tier, 3, MiB),
    ]
    await close()
    truncateSync(slabPath(), 1.5 * MiB)
    const again = await open()
    expect([...again.records()].map((record) => record.hash).sort()).toEqual([whole.hash, cut.hash])
    expect(again.tokens(beyond.hash)).toBeNull()
    expect(warnings).toEqual([expect.stringContaining('1 lie beyond the slab file')])
    await expectStored(again, whole)
    await expect(read(again, cut)).rejects.toMatchObject(isCode('CORRUPT'))
    await expectStored(again, await store(again, 4, 5 * MiB))
  })

  test('by a missing slab empties the tier and leaves it usable', async () => {
    await store(await open(), 1, MiB)
    await close()
    rmSync(slabPath())
    const tier = await open()
    expect([...tier.records()]).toEqual([])
    await expectStored(tier, await store(tier, 2, MiB))
  })

  test('by a missing index opens empty and uses the slab again', async () => {
    await store(await open(), 1, 16 * MiB)
    await close()
    rmSync(indexPath())
    const tier = await open()
    expect(tier.usage()).toMatchObject({ records: 0, usedBytes: 0 })
    await expectStored(tier, await store(tier, 2, 16 * MiB))
  })

  test.each([
    ['cut short', () => truncateSync(indexPath(), 12_000)],
    ['overwritten', () => writeFileSync(indexPath(), Buffer.alloc(40_000, 0xa5))],
    ['something else', () => writeFileSync(indexPath(), 'not an index at all')],
  ])('of an index that is %s sets it aside and opens empty', async (_, damage) => {
    for (const round of [1, 2]) {
      let tier = await open()
      await store(tier, round, MiB)
      await close()
      damage()
      tier = await open()
      expect([...tier.records()]).toEqual([])
      expect(warnings.at(-1)).toContain(`index.broken-${round}`)
      expect(warnings.at(-1)).not.toMatch(/ \)/)
      await expectStored(tier, await store(tier, 5, MiB))
      const kept = readdirSync(directory.path).filter((name) => name.startsWith('index.broken'))
      expect(kept).toEqual([`index.broken-${round}`])
      rmSync(slabPath())
    }
  })
})

describe('the format', () => {
  async function writeMeta(value: string): Promise<void> {
    const root = openLmdb({ path: indexPath(), noSubdir: true, maxDbs: 4 })
    const meta = root.openDB('meta', { keyEncoding: 'binary', encoding: 'binary' })
    await meta.put(Buffer.from('format'), Buffer.from(value))
    await root.close()
  }

  test.each(['{"version":2,"slotBytes":1048576}', '{"version":1,"slotBytes":4194304}', 'hello'])(
    '%s is refused with what to do, and nothing is changed',
    async (format) => {
      const record = await store(await open(), 1, MiB)
      await close()
      await writeMeta(format)
      await expect(open()).rejects.toMatchObject({
        ...isCode('FORMAT'),
        message: expect.stringMatching(/reads and writes format 1 .*--dir.*delete/),
      })
      await writeMeta('{"version":1,"slotBytes":1048576}')
      await expectStored(await open(), record)
    },
  )
})

describe('limits', () => {
  test('a lower capacity keeps the records behind it, and cuts the file when they have gone', async () => {
    const tier = await open()
    const kept = await store(tier, 1, 4 * MiB)
    const behind = await store(tier, 2, 8 * MiB)
    const smaller = await open({ capacityBytes: 5 * MiB })
    expect([...smaller.records()]).toHaveLength(2)
    expect(smaller.usage()).toMatchObject({ usedBytes: 12 * MiB, capacityBytes: 5 * MiB })
    expect([smaller.isBehind(kept), smaller.isBehind(behind)]).toEqual([false, true])
    await expectStored(smaller, behind)
    await expect(store(smaller, 3, 4096)).rejects.toMatchObject(isCode('FULL'))
    await smaller.remove([behind])
    await smaller.close()
    expect(statSync(slabPath()).size).toBe(5 * MiB)
    await expectStored(await open({ capacityBytes: 5 * MiB }), kept)
  })

  test('a full tier rejects a write, changes nothing, and takes it after a removal', async () => {
    const tier = await open()
    const first = await store(tier, 1, 10 * MiB)
    await expect(store(tier, 2, 7 * MiB)).rejects.toMatchObject(isCode('FULL'))
    expect(tier.usage()).toMatchObject({ records: 1, usedBytes: 10 * MiB })
    await tier.remove([first])
    await expectStored(tier, await store(tier, 2, 7 * MiB))
  })

  test.each([
    ['ENOSPC', 'FULL'],
    ['EIO', 'IO'],
  ])('%s while writing stores nothing, keeps the rest and frees the slots', async (errno, code) => {
    let broken = false
    const io: Partial<SlabIo> = {
      read: fileIo.read,
      write: (...given) => (broken ? failing(errno) : fileIo.write(...given)),
    }
    const tier = await open({ io })
    const record = await store(tier, 1, MiB)
    broken = true
    const { record: lost, tokens, bytes } = makePayload(2, 3 * MiB)
    await expect(tier.write(lost, tokens, bytes)).rejects.toMatchObject(isCode(code))
    expect(tier.usage()).toMatchObject({ records: 1, usedBytes: MiB, writtenBytes: MiB })
    expect(tier.tokens(lost.hash)).toBeNull()
    await expectStored(tier, record)
    broken = false
    await expectStored(tier, await store(tier, 2, 3 * MiB))
  })

  test('a read error is an IO error, not damage', async () => {
    const tier = await open({ io: { write: fileIo.write, read: () => failing('EIO') } })
    await expect(read(tier, await store(tier, 1, MiB))).rejects.toMatchObject(isCode('IO'))
  })

  test('a record that does not fit its view, checksums or name is refused and takes nothing', async () => {
    const tier = await open()
    const { record, tokens, bytes } = makePayload(1, MiB + 1)
    await expect(tier.write(record, tokens, bytes.subarray(4096))).rejects.toThrow(RangeError)
    const fewer = { ...record, crc32s: record.crc32s.slice(1) }
    await expect(tier.write(fewer, tokens, bytes)).rejects.toThrow('2 checksums')
    const unnamed = { ...record, hash: 'xyz' as never }
    await expect(tier.write(unnamed, tokens, bytes)).rejects.toThrow('16 hex digits')
    expect(tier.usage()).toMatchObject({ records: 0, usedBytes: 0 })
  })
})

describe('the directory', () => {
  test('is held until the tier is closed', async () => {
    await open()
    await expect(openTestTier(directory.path)).rejects.toMatchObject(isCode('LOCKED'))
    await close()
    await open()
  })

  test('may be locked by the caller instead, who then keeps it', async () => {
    const lock = lockDirectory(directory.path)
    await store(await open({ lock }), 1, MiB)
    await close()
    expect(() => lockDirectory(directory.path)).toThrow('in use')
    lock.release()
  })

  test('is free again after an open that failed', async () => {
    mkdirSync(slabPath())
    await expect(open()).rejects.toMatchObject(isCode('DIRECTORY'))
    rmSync(slabPath(), { recursive: true })
    await store(await open(), 1, MiB)
  })
})

test('closing waits for what is under way and refuses what comes later', async () => {
  const tier = await open()
  const writes = [1, 2, 3].map((number) => store(tier, number, MiB))
  await tier.close()
  await Promise.all(writes)
  await expect(store(tier, 4, MiB)).rejects.toThrow('closed')
  expect(existsSync(join(directory.path, 'index.clean'))).toBe(true)
  expect([...(await open()).records()]).toHaveLength(3)
})

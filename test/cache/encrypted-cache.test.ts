import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { open } from 'lmdb'
import { describe, expect, it } from 'vitest'
import { type Cache, verify, verifyDirectory } from '../../cache/index.ts'
import { encodeHash } from '../../cache/tiers/record-format.ts'
import { openDatabases } from '../../cache/tiers/record-index.ts'
import type { BlockHash } from '../../cache/types.ts'
import {
  blockTokens,
  long,
  other,
  readVerification,
  useCacheDirectory,
} from '../support/cache-directory.ts'
import { flipByte } from '../support/flip-byte.ts'
import { serveToy, tokensOf } from '../support/toy-engine.ts'

const mebibyte = 1024 ** 2
const encryptionKey = Buffer.alloc(32, 5)
const directory = useCacheDirectory(encryptionKey)

const online = (cache: Cache, repair = false) =>
  readVerification(
    verify(cache.upkeep, { repair, yieldMs: 5_000, signal: new AbortController().signal }),
  )

const offline = (key: Uint8Array | null, repair = false) =>
  readVerification(
    verifyDirectory({
      directory: directory.path,
      repair,
      encryptionKey: key,
      readsInFlight: 4,
      warn: () => {},
    }),
  )

async function rotTokens(hash: BlockHash, at: number): Promise<void> {
  const root = open<Buffer, Buffer>({ path: join(directory.path, 'index.mdb'), noSubdir: true })
  const { tokens } = openDatabases(root)
  const value = Buffer.from(tokens.get(encodeHash(hash)) as Buffer)
  const place = at < 0 ? value.length + at : at
  value[place] = (value[place] as number) ^ 0x40
  await tokens.put(encodeHash(hash), value)
  await root.close()
}

describe('a cache with a key', () => {
  it('restores after a restart what it has saved, to the last token', async () => {
    await directory.store()
    const { cache } = await directory.open()
    expect(await serveToy(cache, long)).toMatchObject({ restored: long.length - 1 })
    expect(await serveToy(cache, other)).toMatchObject({ restored: other.length - 1 })
  })

  it('cuts a chain at the first block that does not open, and stores it anew', async () => {
    await directory.store()
    const { cache, warnings } = await directory.open()
    flipByte(directory.slab, 2 * mebibyte + 5)
    expect(await serveToy(cache, long)).toMatchObject({ restored: 2 * blockTokens })
    expect(warnings.join()).toMatch('could not be read back')
    await cache.flush()
    expect(await serveToy(cache, long)).toMatchObject({ restored: long.length - 1 })
  })

  // The first byte of a value is of its nonce, the last one of its tag.
  it.each([20, -1])('says corrupt of a chat whose token ids do not open: byte %i', async (at) => {
    const chat = tokensOf([0, blockTokens + 200])
    const { cache, close } = await directory.open()
    await serveToy(cache, chat)
    await cache.flush()
    const tail = [...cache.index.blocks()].find(({ tokenCount }) => tokenCount < blockTokens)
    await close()
    await rotTokens(tail?.hash as BlockHash, at)

    const again = await directory.open()
    // It ends in what was the answer, so that no block of it has the tail's name.
    const { plan, restored } = await serveToy(again.cache, chat.slice(0, blockTokens + 150))
    expect(plan.miss).toEqual({ reason: 'corrupt', atToken: blockTokens })
    expect(restored).toBe(blockTokens)
    expect(again.warnings.filter((line) => line.includes('not used any more'))).toHaveLength(1)
  })

  it('is verified while it runs', async () => {
    await directory.store()
    const { cache } = await directory.open()
    expect((await online(cache)).findings).toEqual([])
    flipByte(directory.slab, 2 * mebibyte + 5)
    expect((await online(cache, true)).findings).toMatchObject([{ kind: 'checksum', mended: true }])
    expect((await online(cache)).findings).toEqual([])
  })

  it('is verified offline with its key, and with no other', async () => {
    await directory.store()
    expect((await offline(encryptionKey)).findings).toEqual([])
    for (const key of [null, Buffer.alloc(32, 6)]) {
      await expect(offline(key)).rejects.toMatchObject({ code: 'PREFIXD_E_CACHE_KEY' })
    }
    flipByte(directory.slab, 2 * mebibyte + 5)
    expect((await offline(encryptionKey, true)).findings).toMatchObject([{ kind: 'checksum' }])
    expect((await offline(encryptionKey)).findings).toEqual([])
  })

  it('begins anew where its index is lost', async () => {
    await directory.store()
    rmSync(`${directory.path}/index.mdb`)
    const { cache } = await directory.open()
    expect(await serveToy(cache, long)).toMatchObject({ restored: 0 })
    await cache.flush()
    expect(await serveToy(cache, long)).toMatchObject({ restored: long.length - 1 })
  })
})

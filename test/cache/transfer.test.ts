import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  type Cache,
  describeBlocks,
  type ExportHeader,
  exportBlocks,
  findByBeginning,
  importBlocks,
  leavesOf,
  openSigner,
  trustedSigners,
} from '../../cache/index.ts'
import { encodeFrame, encodeOpening } from '../../cache/transfer/frames.ts'
import { digestOf, encodeSigned, noFile } from '../../cache/transfer/signing.ts'
import type { Layout, Namespace } from '../../cache/types.ts'
import { blockTokens, long, other, useCacheDirectory } from '../support/cache-directory.ts'
import {
  type BoundaryRequest,
  boundaryLayout,
  leaseBoundary,
  serveBoundary,
  stateLayout,
} from '../support/toy-boundaries.ts'
import { serveToy, tokensOf, toyLayout, toyNamespace } from '../support/toy-engine.ts'

const directory = useCacheDirectory()
const elsewhere = 'b'.repeat(64) as Namespace
/** Begins like `long`, and leaves it in the third block. */
const branch = tokensOf([0, 2 * blockTokens + 100], [900_000, 300])

const header = (): Omit<ExportHeader, 'signer'> => ({
  model: 'toy',
  namespace: toyNamespace,
  fingerprint: { engine: 'toy' },
  weightsDigest: '',
  blockTokens,
  kinds: ['kv'],
  writtenBy: 'a test',
  writtenAtMs: 1,
})

/** Everything that the cache has, as a file. */
async function exported(cache: Cache, { kinds }: Layout = toyLayout): Promise<Buffer> {
  const signer = openSigner(directory.path)
  const leaves = [...leavesOf(cache.index)]
  const members = leaves.flatMap((leaf) => describeBlocks(cache.index, leaf, kinds))
  const blocks = [...new Set(members.map(({ block }) => block))].sort((a, b) => a.index - b.index)
  const request = { blocks, header: { ...header(), kinds }, signer, yieldMs: 1 }
  const pieces: Uint8Array[] = []
  for await (const piece of exportBlocks(cache.upkeep, request)) pieces.push(piece)
  return Buffer.concat(pieces)
}

async function* inPieces(file: Uint8Array, pieceBytes = 50_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < file.length; at += pieceBytes) yield file.subarray(at, at + pieceBytes)
}

interface Wishes {
  readonly namespace?: Namespace
  readonly pieceBytes?: number
  readonly layout?: Layout
}

const imported = (cache: Cache, file: Uint8Array, wishes: Wishes = {}) =>
  importBlocks(cache.upkeep, {
    chunks: inPieces(file, wishes.pieceBytes),
    accept: async () => ({
      namespace: wishes.namespace ?? toyNamespace,
      layout: wishes.layout ?? toyLayout,
    }),
    yieldMs: 1,
    roomMs: 500,
  })

async function fileOf(...prompts: readonly Uint32Array[]): Promise<Buffer> {
  const { cache, close } = await directory.open()
  for (const prompt of prompts) await serveToy(cache, prompt)
  await cache.flush()
  const file = await exported(cache)
  await close()
  rmSync(join(directory.path, 'index.mdb'))
  rmSync(directory.slab)
  return file
}

describe('an export that is imported into an empty cache', () => {
  it.each([50_000, 7, 4_000_000])(
    'in pieces of %d bytes serves the same prompts at once',
    async (pieceBytes) => {
      const file = await fileOf(long, other, branch)
      const { cache } = await directory.open()
      const done = await imported(cache, file, { pieceBytes })
      expect(done).toMatchObject({ sameNames: true, present: 0, skipped: 0 })
      expect(done.stored).toBe(done.records)
      // Every restored row is compared with what computing would have given.
      for (const prompt of [long, other, branch]) {
        expect((await serveToy(cache, prompt)).restored).toBe(prompt.length - 1)
      }
    },
  )

  it('is on the disk as well, and found after a restart', async () => {
    const file = await fileOf(long)
    const first = await directory.open()
    await imported(first.cache, file)
    await first.cache.flush()
    await first.close()
    const { cache } = await directory.open()
    const served = await serveToy(cache, long)
    expect(served).toMatchObject({ restored: long.length - 1, plan: { tier: 'ssd' } })
  })

  it('goes into the namespace of whoever imports, under names of its own', async () => {
    const file = await fileOf(long)
    const { cache } = await directory.open()
    expect(await imported(cache, file, { namespace: elsewhere })).toMatchObject({
      sameNames: false,
      stored: 4,
    })
    expect((await serveToy(cache, long, { namespace: toyNamespace, read: true })).restored).toBe(0)
    expect((await serveToy(cache, long, { namespace: elsewhere })).restored).toBe(long.length - 1)
  })

  it('stores nothing that is there already', async () => {
    const file = await fileOf(long, branch)
    const { cache } = await directory.open()
    await serveToy(cache, long)
    const done = await imported(cache, file)
    expect(done).toMatchObject({ present: 4, stored: done.records - 4 })
    expect(await imported(cache, file)).toMatchObject({ stored: 0, present: done.records })
  })

  it('that is larger than all tiers stores what finds room, and wrong is none of it', async () => {
    const prompts = Array.from({ length: 8 }, (_, i) => tokensOf([i * 10_000, 4 * blockTokens]))
    const file = await fileOf(...prompts)
    const { cache } = await directory.open(8 * 1024 ** 2)
    const done = await imported(cache, file)
    expect(done.stored + done.skipped).toBe(32)
    for (const prompt of prompts) await serveToy(cache, prompt)
  })
})

describe('windows and states', () => {
  it.each([
    ['rows, windows and states', boundaryLayout],
    ['states only', stateLayout],
  ])('of a model that keeps %s come along, and prompts go on where they are', async (_, layout) => {
    const prompt = tokensOf([0, 3 * blockTokens + 700])
    const marks = { layout, messageEnds: [blockTokens + 500, 2 * blockTokens + 900] }
    const { cache: from, close } = await directory.open()
    await serveBoundary(from, prompt, marks)
    await from.flush()
    const ways = [
      prompt,
      prompt.subarray(0, blockTokens + 600),
      tokensOf([0, 2 * blockTokens], [7, 9]),
    ]
    const planned = ways.map((way) => planOf(from, way, marks))
    expect(planned[0]).toBeGreaterThan(3 * blockTokens)
    const file = await exported(from, layout)
    await close()
    rmSync(join(directory.path, 'index.mdb'))
    const { cache } = await directory.open()
    expect(await imported(cache, file, { layout })).toMatchObject({ skipped: 0, present: 0 })
    expect(ways.map((way) => planOf(cache, way, marks))).toEqual(planned)
    // What is restored is compared with what computing would have given.
    for (const way of ways) await serveBoundary(cache, way, marks)
  })
})

function planOf(cache: Cache, prompt: Uint32Array, marks: BoundaryRequest): number {
  const lease = leaseBoundary(cache, prompt, marks)
  lease.release()
  return lease.plan.computeFrom
}

describe('an export file', () => {
  it('that ends anywhere leaves whole prefixes only', async () => {
    const file = await fileOf(long)
    for (const share of [0.1, 0.3, 0.55, 0.8, 0.999]) {
      const { cache, close } = await directory.open()
      const cut = file.subarray(0, Math.floor(file.length * share))
      await expect(imported(cache, cut)).rejects.toMatchObject({ code: 'PREFIXD_E_IMPORT_DAMAGED' })
      const { restored } = await serveToy(cache, long)
      expect(restored % blockTokens).toBe(0)
      expect(cache.usage()[0]?.reclaimableBytes).toBeGreaterThan(0)
      await close()
      rmSync(join(directory.path, 'index.mdb'))
    }
  })

  it('with a byte that flipped anywhere is refused, and the frame named', async () => {
    const file = await fileOf(other)
    const { cache } = await directory.open()
    for (let at = 5; at < file.length; at += Math.floor(file.length / 23)) {
      const flipped = Buffer.from(file)
      flipped[at] = (flipped[at] as number) ^ 0x40
      await expect(imported(cache, flipped)).rejects.toMatchObject({
        code: expect.stringMatching(/^PREFIXD_E_IMPORT_(DAMAGED|FORMAT)$/),
        message: expect.stringMatching(at < 16 ? /version|no export/ : /^Frame \d+ of the file/),
      })
    }
    // Whatever was stored of them is right: each row is compared.
    await serveToy(cache, other)
  })

  it('with anything behind its trailer is refused, and what was whole before stays', async () => {
    const file = await fileOf(other)
    const { cache } = await directory.open()
    const trailer = framesIn(file).at(-1)?.bytes ?? file
    for (const more of [Buffer.from('trailing'), Buffer.alloc(1), Buffer.alloc(40), trailer]) {
      await expect(imported(cache, Buffer.concat([file, more]))).rejects.toMatchObject({
        code: 'PREFIXD_E_IMPORT_DAMAGED',
        message: 'Frame 7 of the file is damaged: it is behind the trailer.',
      })
    }
    expect((await serveToy(cache, other)).restored).toBe(other.length - 1)
  })

  it('of a newer version is refused, and so is what is no export', async () => {
    const { cache } = await directory.open()
    const newer = encodeOpening()
    newer.writeUInt16LE(9, 14)
    for (const [file, said] of [
      [newer, /has version 9 of the export format; this prefixd reads 1/],
      [Buffer.from('a text that is no export'), /no export of prefixd/],
      [Buffer.alloc(0), /no export of prefixd/],
    ] as const) {
      await expect(imported(cache, file)).rejects.toThrow(said)
    }
  })

  it('whose frames were signed by another key, moved or left out is refused', async () => {
    const file = await fileOf(other)
    const { cache } = await directory.open()
    const frames = framesIn(file)
    const records = frames.filter(({ type }) => type === 2)
    expect(records).toHaveLength(2)
    const [opening, first] = [file.subarray(0, 16), frames[0]]
    const rest = frames.slice(1)
    const reordered = [...rest.slice(2, 4), ...rest.slice(0, 2), ...rest.slice(4)]
    const fewer = rest.slice(2)
    for (const kept of [reordered, fewer]) {
      const changed = Buffer.concat([
        opening,
        ...[first, ...kept].map((it) => it?.bytes ?? opening),
      ])
      await expect(imported(cache, changed)).rejects.toThrow(/Frame 2 .* its signature is wrong/)
    }
    const mine = openSigner(directory.path)
    rmSync(join(directory.path, 'signing.key'))
    const thief = openSigner(directory.path)
    const forged = encodeSigned(
      thief,
      { type: 'header', number: 1, file: noFile },
      {
        ...header(),
        signer: mine.name,
      },
    )
    await expect(imported(cache, Buffer.concat([opening, forged]))).rejects.toThrow(
      /Frame 1 .*signature/,
    )
  })

  it('that says untrue things in the right form is refused', async () => {
    const { cache } = await directory.open()
    const signer = openSigner(directory.path)
    const full = { ...header(), signer: signer.name }
    const start = encodeSigned(signer, { type: 'header', number: 1, file: noFile }, full)
    const file = digestOf(Buffer.from(JSON.stringify(full)))
    const record = {
      hash: '0123456789abcdef',
      parent: 'f'.repeat(16),
      index: 0,
      kind: 'kv',
      grid: true,
      tokens: Buffer.alloc(4 * blockTokens).toString('base64'),
      sizeBytes: 64 * blockTokens,
      crc32s: [1],
      sha256: '',
    }
    for (const [changes, said] of [
      [{}, /its parent is not before it/],
      [{ sizeBytes: 64 * blockTokens + 1 }, /are not the rows of 1024 tokens/],
      [{ kind: 'window' }, /no records of kind window/],
      [{ tokens: Buffer.alloc(4 * blockTokens + 4).toString('base64') }, /too long/],
      [{ tokens: 'AAA' }, /token ids are cut/],
      [{ crc32s: [] }, /fields are not those/],
      [{ hash: '../..' }, /fields are not those/],
    ] as const) {
      const place = { type: 'record', number: 2, file } as const
      const told = encodeSigned(signer, place, { ...record, ...changes })
      const whole = Buffer.concat([encodeOpening(), start, told])
      await expect(imported(cache, whole)).rejects.toThrow(said)
    }
    const early = Buffer.concat([encodeOpening(), start, encodeFrame('chunk', Buffer.alloc(9))])
    await expect(imported(cache, early)).rejects.toThrow(/Frame 2 .* too early/)
    expect(cache.index.blockCount).toBe(0)
  })
})

interface RawFrame {
  readonly type: number
  readonly bytes: Buffer
}

function framesIn(file: Buffer): RawFrame[] {
  const frames: RawFrame[] = []
  for (let at = 16; at < file.length; ) {
    const to = at + 12 + file.readUInt32LE(at + 4)
    frames.push({ type: file.readUInt32LE(at), bytes: file.subarray(at, to) })
    at = to
  }
  return frames
}

describe('an export', () => {
  it('keeps what it writes from eviction, and nothing afterwards', async () => {
    const { cache } = await directory.open()
    await serveToy(cache, long)
    const [leaf] = findByBeginning(cache.index, '', 1)
    const blocks = [...cache.index.blocks()]
    const signer = openSigner(directory.path)
    const stream = exportBlocks(cache.upkeep, { blocks, header: header(), signer, yieldMs: 1 })
    await stream.next()
    expect(leaf && cache.isInUse(leaf)).toBe(true)
    await stream.return(undefined)
    await cache.flush()
    expect(blocks.some((block) => cache.isInUse(block))).toBe(false)
  })

  it('fails at a record that cannot be read back', async () => {
    await directory.store()
    const { cache } = await directory.open()
    const slab = readFileSync(directory.slab)
    slab[100] = (slab[100] as number) ^ 1
    writeFileSync(directory.slab, slab)
    await expect(exported(cache)).rejects.toMatchObject({ code: 'PREFIXD_E_CACHE_CORRUPT' })
  })
})

describe('the signing key', () => {
  it('is made once, for its owner only, and signers are trusted by their names', async () => {
    const { close } = await directory.open()
    const { name } = openSigner(directory.path)
    expect(openSigner(directory.path).name).toBe(name)
    expect(statSync(join(directory.path, 'signing.key')).mode & 0o777).toBe(0o600)
    expect(trustedSigners(directory.path).has(name)).toBe(false)
    writeFileSync(join(directory.path, 'trusted-signers'), `# mine\n${name}  # the laptop\n`)
    expect(trustedSigners(directory.path)).toEqual(new Set([name]))
    await close()
  })
})

/**
 * Reads an export into the cache. A record becomes visible when it is whole and checked, behind its
 * parent: an import that ends anywhere leaves nothing that is wrong. Names are made anew from the
 * token ids, in the namespace of whoever imports.
 */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { blockHash, rootHash } from '../chain.ts'
import { chainOf } from '../inventory.ts'
import { type CachedBlock, isBlock, recordOf, type TreeRoot } from '../prefix-index.ts'
import { ChainWriter } from '../saving.ts'
import type { BlockHash, Extent, Layout, Namespace } from '../types.ts'
import type { UpkeepHost } from '../upkeep.ts'
import {
  type ExportedRecord,
  type ExportHeader,
  readHeader,
  readRecord,
  readTrailer,
} from './descriptions.ts'
import { chunkBytes, damaged, type Frame, readFrames } from './frames.ts'
import { checkSigned, descriptionOf, digestOf, noFile } from './signing.ts'

/** Where the blocks go. */
export interface ImportTarget {
  readonly namespace: Namespace
  readonly layout: Layout
}

export interface ImportRequest {
  readonly chunks: AsyncIterable<Uint8Array>
  /** Throws for what this service cannot use, or does not trust. Called before any record. */
  readonly accept: (header: ExportHeader) => Promise<ImportTarget>
  /** How long each record lets requests go first, and waits for room in RAM. */
  readonly yieldMs: number
  readonly roomMs: number
}

export interface Imported {
  readonly header: ExportHeader
  /** False: the salts differ, so the blocks have other names here. */
  readonly sameNames: boolean
  readonly records: number
  readonly sizeBytes: number
  /** Of the records: newly stored; there already; and those that found no room. */
  readonly stored: number
  readonly present: number
  readonly skipped: number
}

/**
 * Rejects with `PREFIXD_E_IMPORT_FORMAT` or `…_DAMAGED`, which names the frame, and with what
 * `accept` throws.
 */
export async function importBlocks(host: UpkeepHost, request: ImportRequest): Promise<Imported> {
  const frames = readFrames(request.chunks)
  try {
    return await importFrames(host, request, frames)
  } finally {
    await frames.return(undefined)
  }
}

async function importFrames(
  host: UpkeepHost,
  request: ImportRequest,
  frames: AsyncGenerator<Frame>,
): Promise<Imported> {
  const first = await frames.next()
  if (first.done || first.value.type !== 'header') throw damaged(1, 'it is no header')
  const header = readHeader(first.value)
  checkSigned(first.value, header.signer, noFile)
  const target = await request.accept(header)
  const file = digestOf(descriptionOf(first.value))
  const importer = createImporter(host, request, { header, target })
  for (;;) {
    const next = await frames.next()
    if (next.done) throw damaged(importer.frames + 1, 'the file ends before its trailer')
    const frame = next.value
    const isDescribed = frame.type === 'record' || frame.type === 'trailer'
    if (!isDescribed) throw damaged(frame.number, 'it is here too early')
    checkSigned(frame, header.signer, file)
    if (frame.type === 'trailer') {
      const done = importer.end(frame)
      // Throws where the file goes on.
      await frames.next()
      return done
    }
    await importer.take(frame, frames)
  }
}

interface Importer {
  /** Of the file, so far. */
  readonly frames: number
  take(frame: Frame, frames: AsyncGenerator<Frame>): Promise<void>
  end(trailer: Frame): Imported
}

interface Name {
  readonly hash: BlockHash
  readonly parent: BlockHash
}

interface Journey {
  readonly header: ExportHeader
  readonly target: ImportTarget
}

function createImporter(host: UpkeepHost, request: ImportRequest, way: Journey): Importer {
  const { header, target } = way
  const root = host.index.root(target.namespace)
  /** Names in the file → names here. */
  const names = new Map<BlockHash, { readonly hash: BlockHash; readonly index: number }>()
  names.set(rootHash(host.hash64, header.namespace), { hash: root.hash, index: -1 })
  const count = { records: 0, sizeBytes: 0, stored: 0, present: 0, skipped: 0 }
  let frameCount = 1

  function nameOf(record: ExportedRecord, frame: Frame): Name {
    const parent = names.get(record.parent)
    if (parent?.index !== record.index - 1)
      throw damaged(frame.number, 'its parent is not before it')
    const { tokens } = record
    if (blockHash(host.hash64, record.parent, tokens) !== record.hash) {
      throw damaged(frame.number, 'its token ids do not give its hash')
    }
    const hash = blockHash(host.hash64, parent.hash, tokens)
    // Nothing stands behind a block that is not whole.
    if (tokens.length === header.blockTokens) names.set(record.hash, { hash, index: record.index })
    return { hash, parent: parent.hash }
  }

  return {
    get frames() {
      return frameCount
    },
    async take(frame, frames) {
      const record = readRecord(frame)
      checkRecord(record, way, frame)
      const name = nameOf(record, frame)
      await host.withoutLeases(AbortSignal.timeout(request.yieldMs))
      const room = await roomFor(host, { record, name, root, target, roomMs: request.roomMs })
      try {
        const extent = typeof room === 'string' ? null : room.extent
        await readPayload(host, { record, frame, extent }, frames)
        if (typeof room === 'string') count[room]++
        else if (room.writer.commit(room.extent, record.crc32s)) count.stored++
        else count.skipped++
      } finally {
        if (typeof room !== 'string') room.end()
      }
      count.records++
      count.sizeBytes += record.sizeBytes
      frameCount = frame.number + record.crc32s.length
    },
    end(frame) {
      const { records, sizeBytes } = readTrailer(frame)
      if (records !== count.records || sizeBytes !== count.sizeBytes) {
        throw damaged(frame.number, `it counts ${records} records, and ${count.records} were there`)
      }
      const sameNames = header.namespace === target.namespace
      return { header, sameNames, ...count }
    },
  }
}

/** A record that the engine here would refuse, or that fits no block. */
function checkRecord(record: ExportedRecord, { header, target }: Journey, { number }: Frame): void {
  const { kind, tokens, sizeBytes } = record
  const { kinds, kvFixedBytes, kvBytesPerToken } = target.layout
  if (tokens.length > header.blockTokens) throw damaged(number, 'its block is too long')
  if (!kinds.includes(kind)) throw damaged(number, `the model has no records of kind ${kind}`)
  if (kind === 'kv' && sizeBytes !== kvFixedBytes + tokens.length * kvBytesPerToken) {
    throw damaged(number, `${sizeBytes} bytes are not the rows of ${tokens.length} tokens`)
  }
}

interface Room {
  readonly writer: ChainWriter
  readonly extent: Extent
  /** Gives back what is held, and the room where nothing came into it. */
  end(): void
}

interface Wanted {
  readonly record: ExportedRecord
  /** Here. */
  readonly name: Name
  readonly root: TreeRoot
  readonly target: ImportTarget
  readonly roomMs: number
}

/** `present`: it is stored already; `skipped`: nothing gave it room, or its parent had none. */
async function roomFor(host: UpkeepHost, wanted: Wanted): Promise<Room | 'present' | 'skipped'> {
  const { record, name, roomMs } = wanted
  const deadline = AbortSignal.timeout(roomMs)
  for (;;) {
    const parent = parentOf(host, wanted)
    if (parent === null) return 'skipped'
    const room = await reserve(host, wanted, parent)
    if (room !== null) return room
    const stored = host.index.get(name.hash)
    if (stored !== undefined && recordOf(stored, record.kind) !== undefined) return 'present'
    // A tail that a longer block begins with is of no use.
    const covering = record.kind === 'kv' ? parent.children.longest(record.tokens) : null
    if (covering?.sharedTokens === record.tokens.length) return 'present'
    if (deadline.aborted) return 'skipped'
    await host.ram.changed(deadline)
  }
}

/** The stored block that it stands behind, or the root; null: what it needs found no room. */
function parentOf(host: UpkeepHost, { record, name, root }: Wanted): CachedBlock | TreeRoot | null {
  if (record.kind !== 'kv' && host.index.get(name.hash) === undefined) return null
  return record.index === 0 ? root : (host.index.get(name.parent) ?? null)
}

async function reserve(
  host: UpkeepHost,
  { record, root, target }: Wanted,
  parent: CachedBlock | TreeRoot,
): Promise<Room | null> {
  const held = new Set<CachedBlock>()
  const hold = (block: CachedBlock): void => {
    if (held.has(block)) return
    held.add(block)
    block.leases++
  }
  const { kinds } = target.layout
  const writer = new ChainWriter(host, { root, spill: true, kinds, shared: [] }, hold)
  root.leases++
  for (const block of isBlock(parent) ? chainOf(parent) : []) writer.continueBehind(block)
  const end = (): void => {
    writer.close()
    for (const block of held) block.leases--
    root.leases--
    host.index.dropUnused(root)
    host.ram.wake()
  }
  const { kind, tokens, sizeBytes, grid, index } = record
  const from = index * host.blockTokens
  const to = from + tokens.length
  const extent = await writer.reserve({ kind, from, to, sizeBytes, tokens, grid })
  if (extent !== null) return { writer, extent, end }
  end()
  return null
}

interface Payload {
  readonly record: ExportedRecord
  readonly frame: Frame
  /** Null: it is read for its checksums only. */
  readonly extent: Extent | null
}

/** Every byte is checked before anybody can see the record. */
async function readPayload(
  { ram }: UpkeepHost,
  { record, frame, extent }: Payload,
  frames: AsyncGenerator<Frame>,
): Promise<void> {
  const sum = createHash('sha256')
  for (const [i, crc] of record.crc32s.entries()) {
    const number = frame.number + 1 + i
    const next = await frames.next()
    if (next.done) throw damaged(number, 'the file ends before it')
    const { type, payload } = next.value
    const sizeBytes = Math.min(chunkBytes, record.sizeBytes - i * chunkBytes)
    const isRight = type === 'chunk' && payload.length === sizeBytes && crc32(payload) === crc
    if (!isRight) throw damaged(number, 'it is not the piece that its record names')
    sum.update(payload)
    if (extent !== null) ram.arena.view(extent.offset + i * chunkBytes, sizeBytes).set(payload)
  }
  if (sum.digest('hex') !== record.sha256) throw damaged(frame.number, 'its digest is wrong')
}

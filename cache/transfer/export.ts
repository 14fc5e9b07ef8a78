/**
 * Writes chains of blocks as a stream that another service can import: parents first, a record at a
 * time. The blocks cannot be evicted meanwhile; of the bytes one record is in the arena.
 */
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { CacheError } from '../errors.ts'
import { bringInPinned } from '../loading.ts'
import type { CachedBlock, CachedRecord } from '../prefix-index.ts'
import type { Extent, TokenIds } from '../types.ts'
import type { UpkeepHost } from '../upkeep.ts'
import { describeRecord, type ExportHeader, type ExportTrailer } from './descriptions.ts'
import { chunkBytes, encodeFrame, encodeOpening } from './frames.ts'
import { digestOf, encodeSigned, noFile, type Signer } from './signing.ts'

export interface ExportRequest {
  /** Of one namespace, each behind its parent. */
  readonly blocks: readonly CachedBlock[]
  readonly header: Omit<ExportHeader, 'signer'>
  readonly signer: Signer
  /** How long each record lets requests go first. */
  readonly yieldMs: number
}

/** Rejects with `PREFIXD_E_CACHE_CORRUPT` or `…_IO` at a record that cannot be read back. */
export async function* exportBlocks(
  host: UpkeepHost,
  { blocks, header, signer, yieldMs }: ExportRequest,
): AsyncGenerator<Buffer> {
  for (const block of blocks) block.leases++
  try {
    yield encodeOpening()
    const full: ExportHeader = { ...header, signer: signer.name }
    yield encodeSigned(signer, { type: 'header', number: 1, file: noFile }, full)
    const file = digestOf(Buffer.from(JSON.stringify(full)))
    let number = 1
    const total = { records: 0, sizeBytes: 0 }
    for (const block of blocks) {
      const tokens = tokensOf(host, block)
      for (const record of rowsFirst(block)) {
        await host.withoutLeases(AbortSignal.timeout(yieldMs))
        for await (const [type, frame] of recordFrames(host, record, tokens)) {
          number++
          if (type === 'chunk') yield frame
          else yield encodeSigned(signer, { type, number, file }, frame)
        }
        total.records++
        total.sizeBytes += record.sizeBytes
      }
    }
    const trailer: ExportTrailer = total
    yield encodeSigned(signer, { type: 'trailer', number: number + 1, file }, trailer)
  } finally {
    for (const block of blocks) block.leases--
    host.ram.wake()
  }
}

const rowsFirst = ({ records }: CachedBlock): CachedRecord[] =>
  [...records].sort((a, b) => Number(a.kind !== 'kv') - Number(b.kind !== 'kv'))

function tokensOf({ index }: UpkeepHost, block: CachedBlock): TokenIds {
  const tokens = index.tokensOf(block).slice()
  if (tokens.length === block.tokenCount) return tokens
  throw new CacheError(
    'PREFIXD_E_CACHE_CORRUPT',
    `The token ids of block ${block.hash} cannot be read.`,
  )
}

type RecordFrame =
  | readonly [type: 'record', description: object]
  | readonly [type: 'chunk', frame: Buffer]

async function* recordFrames(
  host: UpkeepHost,
  record: CachedRecord,
  tokens: TokenIds,
): AsyncGenerator<RecordFrame> {
  const extent = await bringInPinned(host, record)
  const { block, kind, sizeBytes, crc32s } = record
  try {
    const sum = createHash('sha256')
    for (const [i, chunk] of [...chunksOf(host, extent)].entries()) {
      if (crc32(chunk) !== crc32s[i]) {
        throw new CacheError(
          'PREFIXD_E_CACHE_CORRUPT',
          `MiB ${i} of the ${kind} of block ${block.hash} has a wrong checksum.`,
        )
      }
      sum.update(chunk)
    }
    const { hash, parent, index, grid } = block
    const sha256 = sum.digest('hex')
    const names = { hash, parent: parent.hash, index, kind, grid, tokens }
    yield ['record', describeRecord({ ...names, sizeBytes, crc32s, sha256 })]
    // Copies: whoever writes them to a socket has them longer than this holds the record.
    for (const chunk of chunksOf(host, extent)) yield ['chunk', encodeFrame('chunk', chunk)]
  } finally {
    host.ram.unpin(record)
  }
}

function* chunksOf({ ram }: UpkeepHost, { offset, sizeBytes }: Extent): Generator<Uint8Array> {
  for (let from = 0; from < sizeBytes; from += chunkBytes) {
    yield ram.arena.view(offset + from, Math.min(chunkBytes, sizeBytes - from))
  }
}

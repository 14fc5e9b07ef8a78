/**
 * The bytes of an export file; docs/on-disk-format.md has them in tables. Sixteen bytes say what it
 * is and in which version; frames follow, each with its type, length and crc32. All numbers are
 * little endian.
 */
import { crc32 } from 'node:zlib'
import { CacheError } from '../errors.ts'

export const exportVersion = 1
const magic = 'prefixd-export'
const openingBytes = 16

export type FrameType = 'header' | 'record' | 'chunk' | 'trailer'

export interface Frame {
  readonly type: FrameType
  /** 1 is the header; for errors. */
  readonly number: number
  readonly payload: Buffer
}

const typeCodes: Readonly<Record<FrameType, number>> = {
  header: 1,
  record: 2,
  chunk: 3,
  trailer: 4,
}
const typeOfCode = new Map(
  (Object.keys(typeCodes) as FrameType[]).map((type) => [typeCodes[type], type]),
)

const frameHeadBytes = 12
/** Of a chunk, and of what describes a record with its token ids and sums. */
export const chunkBytes = 1024 * 1024

export function encodeOpening(): Buffer {
  const bytes = Buffer.alloc(openingBytes)
  bytes.write(magic, 'latin1')
  bytes.writeUInt16LE(exportVersion, magic.length)
  return bytes
}

export function encodeFrame(type: FrameType, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(frameHeadBytes + payload.length)
  bytes.writeUInt32LE(typeCodes[type], 0)
  bytes.writeUInt32LE(payload.length, 4)
  bytes.writeUInt32LE(crc32(payload), 8)
  bytes.set(payload, frameHeadBytes)
  return bytes
}

export const damaged = (frame: number, what: string): CacheError =>
  new CacheError('PREFIXD_E_IMPORT_DAMAGED', `Frame ${frame} of the file is damaged: ${what}.`)

/**
 * Reads frames as they come; at most one of them, and a piece of the next, is in memory. Throws
 * `PREFIXD_E_IMPORT_FORMAT` for what is no export or a newer one, and `PREFIXD_E_IMPORT_DAMAGED`,
 * also for anything behind a trailer: no signature covers it.
 */
export async function* readFrames(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Frame> {
  const source = chunks[Symbol.asyncIterator]()
  const bytes = createByteReader(source)
  try {
    checkOpening(await bytes.take(openingBytes))
    for (let number = 1; ; number++) {
      const frame = await readFrame(bytes, number)
      if (frame === null) return
      yield frame
      if (frame.type !== 'trailer') continue
      if ((await bytes.take(1)).length > 0) throw damaged(number + 1, 'it is behind the trailer')
      return
    }
  } finally {
    await source.return?.()
  }
}

async function readFrame(bytes: ByteReader, number: number): Promise<Frame | null> {
  const head = await bytes.take(frameHeadBytes)
  if (head.length === 0) return null
  if (head.length < frameHeadBytes) throw damaged(number, 'the file ends in it')
  const type = typeOfCode.get(head.readUInt32LE(0))
  const length = head.readUInt32LE(4)
  if (type === undefined || length > chunkBytes) throw damaged(number, 'it is no frame')
  const payload = await bytes.take(length)
  if (payload.length < length) throw damaged(number, 'the file ends in it')
  if (crc32(payload) !== head.readUInt32LE(8)) throw damaged(number, 'its checksum is wrong')
  return { type, number, payload }
}

function checkOpening(opening: Buffer): void {
  const isOurs =
    opening.length === openingBytes && opening.toString('latin1', 0, magic.length) === magic
  if (!isOurs) {
    throw new CacheError('PREFIXD_E_IMPORT_FORMAT', 'The file is no export of prefixd.')
  }
  const version = opening.readUInt16LE(magic.length)
  if (version === exportVersion) return
  throw new CacheError(
    'PREFIXD_E_IMPORT_FORMAT',
    `The file has version ${version} of the export format; this prefixd reads ${exportVersion}.`,
  )
}

interface ByteReader {
  /** Exactly so many bytes, or what is left before the end. */
  take(count: number): Promise<Buffer>
}

function createByteReader(source: AsyncIterator<Uint8Array>): ByteReader {
  let rest: Uint8Array = new Uint8Array(0)
  return {
    async take(count) {
      const into = Buffer.alloc(count)
      let filled = 0
      while (filled < count) {
        if (rest.length === 0) {
          const next = await source.next()
          if (next.done) break
          rest = next.value
        }
        const part = rest.subarray(0, count - filled)
        into.set(part, filled)
        filled += part.length
        rest = rest.subarray(part.length)
      }
      return into.subarray(0, filled)
    },
  }
}

/** The metadata of a GGUF file: what its header says of the model, without the vocabulary. */
import { open } from 'node:fs/promises'
import { limits } from '../config/limits.ts'
import { PrefixdError } from '../errors.ts'

export type GgufScalar = string | number | boolean
/** Lists of texts, and lists that are longer than any model has layers, are left out. */
export type GgufMetadata = ReadonlyMap<string, GgufScalar | readonly number[]>

/** As the format numbers them. */
const textType = 8
const listType = 9
const boolType = 7

const numbers: Readonly<Record<number, { size: number; read: (at: DataView) => number }>> = {
  0: { size: 1, read: (at) => at.getUint8(0) },
  1: { size: 1, read: (at) => at.getInt8(0) },
  2: { size: 2, read: (at) => at.getUint16(0, true) },
  3: { size: 2, read: (at) => at.getInt16(0, true) },
  4: { size: 4, read: (at) => at.getUint32(0, true) },
  5: { size: 4, read: (at) => at.getInt32(0, true) },
  6: { size: 4, read: (at) => at.getFloat32(0, true) },
  [boolType]: { size: 1, read: (at) => at.getUint8(0) },
  10: { size: 8, read: (at) => Number(at.getBigUint64(0, true)) },
  11: { size: 8, read: (at) => Number(at.getBigInt64(0, true)) },
  12: { size: 8, read: (at) => at.getFloat64(0, true) },
}

const countsAt = 16
const firstBytes = 64 * 1024

/**
 * Reads as much of the file's beginning as the header takes: some megabytes where the vocabulary
 * is large. Throws PREFIXD_E_MODEL_FILE for a header that is cut off or makes no sense; call
 * `checkModelFile` first.
 */
export async function readGgufMetadata(path: string): Promise<GgufMetadata> {
  await using handle = await open(path, 'r')
  const { size: fileBytes } = await handle.stat()
  const mostBytes = Math.min(fileBytes, limits.ggufHeaderBytes)
  for (let sizeBytes = Math.min(firstBytes, mostBytes); ; sizeBytes *= 2) {
    const bytes = new Uint8Array(Math.min(sizeBytes, mostBytes))
    await handle.read(bytes, 0, bytes.byteLength, 0)
    const metadata = parseGgufMetadata(bytes)
    if (metadata === 'senseless') throw broken(path, 'has metadata that makes no sense')
    if (metadata !== 'incomplete') return metadata
    if (bytes.byteLength === mostBytes) throw broken(path, 'is cut off in its metadata')
  }
}

const broken = (path: string, what: string): PrefixdError =>
  new PrefixdError('PREFIXD_E_MODEL_FILE', `${path} ${what}.`, {
    field: 'model',
    next: 'Pull or download it again, or choose another: `prefixd models ls`.',
  })

/** `bytes` are the beginning of a file; `incomplete`: more of it is needed. */
export function parseGgufMetadata(bytes: Uint8Array): GgufMetadata | 'incomplete' | 'senseless' {
  const reader = createReader(bytes)
  try {
    reader.skip(countsAt)
    const pairs = reader.count()
    const metadata = new Map<string, GgufScalar | readonly number[]>()
    for (let index = 0; index < pairs; index += 1) {
      const key = reader.text()
      const value = readValue(reader, reader.type())
      if (value !== null) metadata.set(key, value)
    }
    return metadata
  } catch (error) {
    if (error instanceof RangeError) return 'incomplete'
    if (error instanceof UnknownType) return 'senseless'
    throw error
  }
}

class UnknownType extends Error {}

type Reader = ReturnType<typeof createReader>

/** Throws RangeError where the bytes end. */
function createReader(bytes: Uint8Array) {
  const decoder = new TextDecoder()
  let at = 0
  const take = (sizeBytes: number): DataView => {
    if (at + sizeBytes > bytes.byteLength) throw new RangeError('the bytes end here')
    const view = new DataView(bytes.buffer, bytes.byteOffset + at, sizeBytes)
    at += sizeBytes
    return view
  }
  const count = (): number => Number(take(8).getBigUint64(0, true))
  return {
    take,
    count,
    type: () => take(4).getUint32(0, true),
    text: () => decoder.decode(take(count())),
    skip: (sizeBytes: number): void => void take(sizeBytes),
  }
}

function readValue(reader: Reader, type: number): GgufScalar | readonly number[] | null {
  if (type === textType) return reader.text()
  if (type === listType) return readList(reader)
  const value = numberOf(reader, type)
  return type === boolType ? value !== 0 : value
}

function numberOf(reader: Reader, type: number): number {
  const kind = numbers[type]
  if (kind === undefined) throw new UnknownType()
  return kind.read(reader.take(kind.size))
}

function readList(reader: Reader): readonly number[] | null {
  const type = reader.type()
  const length = reader.count()
  if (type === textType) {
    for (let index = 0; index < length; index += 1) reader.skip(reader.count())
    return null
  }
  const kind = numbers[type]
  if (kind === undefined) throw new UnknownType()
  if (length > limits.ggufListLength) {
    reader.skip(length * kind.size)
    return null
  }
  return Array.from({ length }, () => numberOf(reader, type))
}

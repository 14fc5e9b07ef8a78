/** What the frames of an export say, as JSON. A file is not trusted: everything is looked at. */
import type { BlockHash, Namespace, RecordKind, TokenIds } from '../types.ts'
import { chunkBytes, damaged, type Frame } from './frames.ts'
import { descriptionOf } from './signing.ts'

/** Of one namespace: what its blocks were computed with, and by whom the file was written. */
export interface ExportHeader {
  readonly model: string
  readonly namespace: Namespace
  /** As in `NamespaceParts`, without the salt: that is its owner's secret. */
  readonly fingerprint: object
  readonly weightsDigest: string
  readonly blockTokens: number
  readonly kinds: readonly RecordKind[]
  readonly signer: string
  /** Name and version of the program. */
  readonly writtenBy: string
  readonly writtenAtMs: number
}

export interface ExportedRecord {
  readonly hash: BlockHash
  readonly parent: BlockHash
  readonly index: number
  readonly kind: RecordKind
  readonly grid: boolean
  readonly tokens: TokenIds
  readonly sizeBytes: number
  readonly crc32s: readonly number[]
  /** Of all bytes of the record, as hex. */
  readonly sha256: string
}

export interface ExportTrailer {
  readonly records: number
  readonly sizeBytes: number
}

const kinds: readonly unknown[] = ['kv', 'window', 'state']
const isText = (value: unknown): value is string => typeof value === 'string'
const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0
const isHash = (value: unknown): boolean => isText(value) && /^[0-9a-f]{16}$/.test(value)

function parsed<T>(frame: Frame, isRight: (value: Partial<Record<string, unknown>>) => boolean): T {
  let value: unknown
  try {
    value = JSON.parse(descriptionOf(frame).toString())
  } catch {
    throw damaged(frame.number, 'it is no JSON')
  }
  const isObject = typeof value === 'object' && value !== null
  if (isObject && isRight(value as Partial<Record<string, unknown>>)) return value as T
  throw damaged(frame.number, 'its fields are not those of its type')
}

export const readHeader = (frame: Frame): ExportHeader =>
  parsed<ExportHeader>(
    frame,
    (it) =>
      [it.model, it.namespace, it.weightsDigest, it.signer, it.writtenBy].every(isText) &&
      typeof it.fingerprint === 'object' &&
      it.fingerprint !== null &&
      isCount(it.blockTokens) &&
      isCount(it.writtenAtMs) &&
      Array.isArray(it.kinds) &&
      it.kinds.every((kind) => kinds.includes(kind)),
  )

type RecordJson = Omit<ExportedRecord, 'tokens'> & { readonly tokens: string }

export function readRecord(frame: Frame): ExportedRecord {
  const json = parsed<RecordJson>(
    frame,
    (it) =>
      [it.hash, it.parent].every(isHash) &&
      [it.index, it.sizeBytes].every(isCount) &&
      kinds.includes(it.kind) &&
      typeof it.grid === 'boolean' &&
      isText(it.tokens) &&
      isText(it.sha256) &&
      Array.isArray(it.crc32s) &&
      it.crc32s.every(isCount) &&
      it.crc32s.length === Math.ceil(Number(it.sizeBytes) / chunkBytes),
  )
  const bytes = Uint8Array.from(Buffer.from(json.tokens, 'base64'))
  const isWhole = bytes.length > 0 && bytes.length % Uint32Array.BYTES_PER_ELEMENT === 0
  if (!isWhole) throw damaged(frame.number, 'its token ids are cut')
  return { ...json, tokens: new Uint32Array(bytes.buffer) }
}

export function describeRecord({ tokens, ...record }: ExportedRecord): RecordJson {
  const bytes = Buffer.from(tokens.buffer, tokens.byteOffset, tokens.byteLength)
  return { ...record, tokens: bytes.toString('base64') }
}

export const readTrailer = (frame: Frame): ExportTrailer =>
  parsed<ExportTrailer>(frame, (it) => isCount(it.records) && isCount(it.sizeBytes))

/**
 * Every message between the service and a worker, both ways. The tables are the protocol: they
 * check what arrives and give the TypeScript types; docs/engine-protocol.md explains them in words.
 *
 * Every field is always present; what may be missing is null.
 */
import type { RecordKind, TokenIds } from '../cache/types.ts'
import { type FrameHeader, protocolError } from './frames.ts'
import type {
  FinishReason,
  ModelInfo,
  RecordBytes,
  RenderInput,
  RestoreRecord,
  Sampling,
  TokenBias,
  TokenLogprob,
  TokenLogprobs,
  WorkerOptions,
} from './types.ts'

/** Reads one value from the wire; undefined means that it is not what the protocol says. */
interface Field<T> {
  readonly words: string
  read(value: unknown): T | undefined
}

type Table = Readonly<Record<string, Readonly<Record<string, Field<unknown>>>>>
type FieldValue<F> = F extends Field<infer T> ? T : never
type MessageOf<T extends Table> = {
  [Type in keyof T & string]: { readonly type: Type } & {
    readonly [Name in keyof T[Type]]: FieldValue<T[Type][Name]>
  }
}[keyof T & string]

const uint: Field<number> = {
  words: 'an integer ≥ 0',
  read: (value) =>
    Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : undefined,
}
const real: Field<number> = {
  words: 'a number',
  read: (value) => (typeof value === 'number' ? value : undefined),
}
const text: Field<string> = {
  words: 'a string',
  read: (value) => (typeof value === 'string' ? value : undefined),
}
const flag: Field<boolean> = {
  words: 'a boolean',
  read: (value) => (typeof value === 'boolean' ? value : undefined),
}
const tokenIds: Field<TokenIds> = {
  words: 'token ids as bin of u32 LE',
  read: (value) => readWords(value, (bytes) => new Uint32Array(bytes)),
}
const logits: Field<Float32Array> = {
  words: 'logits as bin of f32 LE',
  read: (value) => readWords(value, (bytes) => new Float32Array(bytes)),
}
const vector: Field<Float32Array> = { words: 'a vector as bin of f32 LE', read: logits.read }
const uints: Field<number[]> = {
  words: 'an array of integers ≥ 0',
  read: (value) =>
    isArrayOf<number>(value, (item) => uint.read(item) !== undefined) ? value : undefined,
}
const binaries: Field<Uint8Array[]> = {
  words: 'an array of bin',
  read: (value) =>
    isArrayOf<Uint8Array>(value, (item) => item instanceof Uint8Array) ? value : undefined,
}
const binary: Field<Uint8Array> = {
  words: 'bin',
  read: (value) => (value instanceof Uint8Array ? value : undefined),
}
const recordKind = oneOf<RecordKind>('kv', 'window', 'state')
const finishReason = oneOf<FinishReason>('stop', 'length', 'aborted')
const recordBytes: Field<RecordBytes> = map({ offset: uint, sizeBytes: uint, generation: uint })
const restoreRecord: Field<RestoreRecord> = map({
  kind: recordKind,
  from: uint,
  to: uint,
  keepTo: uint,
  offset: uint,
  sizeBytes: uint,
  generation: uint,
  crc32s: uints,
  verified: flag,
})
const restoreRecords = arrayOf('records to restore', restoreRecord)
const logitBias: Field<TokenBias[]> = arrayOf('biases', map<TokenBias>({ token: uint, bias: real }))
const logprobs: Field<TokenLogprobs> = map({
  bytes: binary,
  logprob: real,
  top: arrayOf('likely tokens', map<TokenLogprob>({ token: uint, bytes: binary, logprob: real })),
})
const samplingField: Field<Sampling> = map({
  temperature: real,
  topP: real,
  topK: real,
  minP: real,
  repeatPenalty: real,
  frequencyPenalty: real,
  presencePenalty: real,
  seed: real,
})

const toWorkerTable = {
  hello: { protocol: uint, options: opaque<WorkerOptions>(), arenaBytes: nullable(uint) },
  render: { id: uint, input: opaque<RenderInput>() },
  tokenize: { id: uint, text, addSpecial: flag, parseSpecial: flag },
  detokenize: { id: uint, tokens: tokenIds },
  pieces: { id: uint, tokens: tokenIds },
  embed: { id: uint, tokens: tokenIds },
  open: { id: uint, sequence: uint },
  restore: { id: uint, sequence: uint, expectedTokens: uint, records: restoreRecords },
  generate: {
    id: uint,
    sequence: uint,
    tokens: tokenIds,
    computeFrom: uint,
    restoredOnGrid: flag,
    boundaries: uints,
    maxTokens: uint,
    sampling: samplingField,
    grammar: nullable(text),
    logitBias,
    topLogprobs: nullable(uint),
    save: flag,
    ignoreEnd: flag,
    logits: flag,
  },
  reserved: { id: uint, reservation: uint, bytes: nullable(recordBytes) },
  cancel: { id: uint },
  trim: { id: uint, sequence: uint, tokenCount: uint },
  close: { id: uint, sequence: uint },
  shutdown: {},
} satisfies Table

const toServiceTable = {
  hello: { protocol: uint },
  loading: { fraction: real },
  ready: { info: opaque<ModelInfo>() },
  failed: { code: text, message: text },
  text: { id: uint, text },
  tokens: { id: uint, tokens: tokenIds },
  pieces: { id: uint, pieces: binaries },
  embedding: { id: uint, vector },
  restored: { id: uint, restoredTokens: uint, restoreMs: real },
  ok: { id: uint },
  error: { id: uint, code: text, message: text, recordIndex: nullable(uint), corrupt: flag },
  prefill: { id: uint, processedTokens: uint, totalTokens: uint },
  token: { id: uint, token: uint, text, logits: nullable(logits), logprobs: nullable(logprobs) },
  reserve: {
    id: uint,
    reservation: uint,
    kind: recordKind,
    from: uint,
    to: uint,
    sizeBytes: uint,
    tokens: tokenIds,
    grid: flag,
  },
  exported: { id: uint, reservation: uint, generation: uint, crc32s: uints },
  abandoned: { id: uint, reservation: uint },
  done: {
    id: uint,
    finishReason,
    restoredTokens: uint,
    computedTokens: uint,
    decodedTokens: uint,
    prefillMs: real,
    decodeMs: real,
    exportMs: real,
  },
} satisfies Table

/** Names of all messages and fields, so that a test can compare them with the document. */
export const protocolFields: Readonly<Record<string, readonly string[]>>[] = [
  fieldNames(toWorkerTable),
  fieldNames(toServiceTable),
]

/** Service → worker. */
export type ToWorker = MessageOf<typeof toWorkerTable>
/** Worker → service. */
export type ToService = MessageOf<typeof toServiceTable>
/** A message that begins a call; the answer carries the same id. */
export type CallMessage = Extract<ToWorker, { id: number; type: CallType }>
export type CallType =
  | 'render'
  | 'tokenize'
  | 'detokenize'
  | 'pieces'
  | 'embed'
  | 'open'
  | 'restore'
  | 'generate'
  | 'trim'
  | 'close'
/** A message of the worker that belongs to a call. */
export type CallReply = Extract<ToService, { id: number }>

/** Throws PREFIXD_E_ENGINE_PROTOCOL naming the field that is wrong. */
export function readToWorker(header: FrameHeader): ToWorker {
  return readMessage(toWorkerTable, header)
}

/** Throws PREFIXD_E_ENGINE_PROTOCOL naming the field that is wrong. */
export function readToService(header: FrameHeader): ToService {
  return readMessage(toServiceTable, header)
}

function readMessage<T extends Table>(table: T, header: FrameHeader): MessageOf<T> {
  const fields = Object.hasOwn(table, header.type) ? table[header.type] : undefined
  if (fields === undefined) throw protocolError(`unknown message \`${header.type.slice(0, 40)}\``)
  const message: Record<string, unknown> = { type: header.type }
  for (const [name, field] of Object.entries(fields)) {
    const value = field.read(header[name])
    if (value === undefined) {
      throw protocolError(`\`${name}\` of \`${header.type}\` must be ${field.words}`)
    }
    message[name] = value
  }
  return message as MessageOf<T>
}

function fieldNames(table: Table): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(table).map(([type, fields]) => [type, Object.keys(fields)]),
  )
}

function nullable<T>(field: Field<T>): Field<T | null> {
  return {
    words: `${field.words}, or null`,
    read: (value) => (value === null ? null : field.read(value)),
  }
}

function oneOf<T extends string>(...allowed: T[]): Field<T> {
  return {
    words: allowed.map((word) => `"${word}"`).join(' or '),
    read: (value) => allowed.find((word) => word === value),
  }
}

function arrayOf<T>(items: string, item: Field<T>): Field<T[]> {
  return {
    words: `an array of ${items}`,
    read(value) {
      if (!Array.isArray(value)) return undefined
      const read = value.map((each) => item.read(each))
      return read.every((each) => each !== undefined) ? read : undefined
    },
  }
}

/** A map whose fields are checked one by one. */
function map<T>(fields: { readonly [Name in keyof T]: Field<T[Name]> }): Field<T> {
  return {
    words: `a map with ${Object.keys(fields).join(', ')}`,
    read(value) {
      if (!isMap(value)) return undefined
      const read: Record<string, unknown> = {}
      for (const [name, field] of Object.entries<Field<unknown>>(fields)) {
        const item = field.read(value[name])
        if (item === undefined) return undefined
        read[name] = item
      }
      return read as T
    },
  }
}

/** A map that its reader checks (model-info.ts) or passes on untouched (a chat to its template). */
function opaque<T>(): Field<T> {
  return { words: 'a map', read: (value) => (isMap(value) ? (value as T) : undefined) }
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isArrayOf<T>(value: unknown, test: (item: unknown) => boolean): value is T[] {
  return Array.isArray(value) && value.every(test)
}

// A view would need an aligned offset, which the msgpack header does not give.
function readWords<T>(value: unknown, make: (bytes: ArrayBuffer) => T): T | undefined {
  if (!(value instanceof Uint8Array) || value.byteLength % 4 !== 0) return undefined
  return make(new Uint8Array(value).buffer)
}

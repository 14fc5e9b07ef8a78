/**
 * Frames between the service and a worker:
 * `u32 LE header length | u32 LE payload length | header | payload`.
 * The header is a msgpack map with string keys, `type` among them; the payload is raw bytes.
 * docs/engine-protocol.md has every message; a golden-bytes test pins this encoding.
 */
import { Packr } from 'msgpackr'
import { EngineError } from './errors.ts'

/** Rises with every change that an older worker could misread. Both sides refuse any other. */
export const protocolVersion = 1

export type FrameHeader = Readonly<Record<string, unknown>> & { readonly type: string }

export interface Frame {
  readonly header: FrameHeader
  /** Valid for as long as the caller keeps it; may be a view of what the socket delivered. */
  readonly payload: Uint8Array
}

export interface FrameLimits {
  readonly frameHeaderBytes: number
  readonly framePayloadBytes: number
}

/** What a worker accepts; the service takes its own, which may be lower, from its limits. */
export const protocolFrameLimits: FrameLimits = {
  frameHeaderBytes: 16 * 1024 * 1024,
  framePayloadBytes: 1024 * 1024 * 1024,
}

const prefixBytes = 8
const noBytes = new Uint8Array(0)

// Plain maps only: records and extension types are msgpackr's own, and Python cannot read them.
const packr = new Packr({
  useRecords: false,
  variableMapSize: true,
  mapsAsObjects: true,
  encodeUndefinedAsNil: true,
  int64AsType: 'number',
})

/**
 * The pieces of one frame, in the order in which they go out. Payloads are passed on, not copied.
 * Typed arrays among the header's values travel as `bin` with their little-endian bytes.
 */
export function encodeFrame(
  header: FrameHeader,
  payload: readonly Uint8Array[],
  limits: FrameLimits,
): Uint8Array[] {
  const packed = packr.pack(withBytes(header))
  let payloadBytes = 0
  for (const piece of payload) payloadBytes += piece.byteLength
  // Of our own words only a prompt grows so long, and its client can send less.
  if (packed.byteLength > limits.frameHeaderBytes) throw tooLarge(packed.byteLength, limits)
  checkLengths(packed.byteLength, payloadBytes, limits)
  const head = Buffer.allocUnsafe(prefixBytes + packed.byteLength)
  head.writeUInt32LE(packed.byteLength, 0)
  head.writeUInt32LE(payloadBytes, 4)
  packed.copy(head, prefixBytes)
  return [head, ...payload]
}

export interface FrameDecoder {
  /** Frames that became complete. Throws PREFIXD_E_ENGINE_PROTOCOL, from then on always. */
  push(chunk: Uint8Array): Frame[]
  /** The stream has ended; throws when that was inside a frame. */
  end(): void
}

/**
 * Decodes frames from chunks of any size. A part that lies whole in one chunk is a view of it; one
 * that does not is copied once into a buffer of its final size.
 */
export function createFrameDecoder(limits: FrameLimits): FrameDecoder {
  let part: 'prefix' | 'header' | 'payload' = 'prefix'
  let wanted = prefixBytes
  let payloadBytes = 0
  let header: FrameHeader = { type: '' }
  let broken: EngineError | null = null
  const reader = createPartReader()

  const next = (to: typeof part, bytes: number): void => {
    part = to
    wanted = bytes
  }

  /** Takes one complete part; answers the frame when it was the last one. */
  const advance = (bytes: Uint8Array): Frame | null => {
    if (part === 'prefix') {
      const lengths = new DataView(bytes.buffer, bytes.byteOffset, prefixBytes)
      payloadBytes = lengths.getUint32(4, true)
      checkLengths(lengths.getUint32(0, true), payloadBytes, limits)
      next('header', lengths.getUint32(0, true))
      return null
    }
    if (part === 'header') {
      header = decodeHeader(bytes)
      if (payloadBytes > 0) {
        next('payload', payloadBytes)
        return null
      }
      next('prefix', prefixBytes)
      return { header, payload: noBytes }
    }
    next('prefix', prefixBytes)
    return { header, payload: bytes }
  }

  return {
    push(chunk) {
      if (broken !== null) throw broken
      const frames: Frame[] = []
      const cursor = { at: 0 }
      try {
        while (cursor.at < chunk.byteLength) {
          const bytes = reader.take(chunk, cursor, wanted)
          const frame = bytes === null ? null : advance(bytes)
          if (frame !== null) frames.push(frame)
        }
      } catch (error) {
        broken = error instanceof EngineError ? error : protocolError('unreadable frame', error)
        throw broken
      }
      return frames
    },
    end() {
      if (broken !== null) throw broken
      if (part !== 'prefix' || reader.isInside)
        throw protocolError('the stream ended inside a frame')
    },
  }
}

/** Collects parts of a known size from chunks of any size. */
function createPartReader() {
  let partial: Uint8Array | null = null
  let filled = 0
  return {
    /** Does a part have its first bytes, and not yet its last? */
    get isInside(): boolean {
      return partial !== null
    },
    /** The next `wanted` bytes, or null when the chunk ends before them. Moves `cursor.at`. */
    take(chunk: Uint8Array, cursor: { at: number }, wanted: number): Uint8Array | null {
      const available = chunk.byteLength - cursor.at
      if (partial === null && available >= wanted) {
        const whole = chunk.subarray(cursor.at, cursor.at + wanted)
        cursor.at += wanted
        return whole
      }
      partial ??= Buffer.allocUnsafe(wanted)
      const count = Math.min(available, wanted - filled)
      partial.set(chunk.subarray(cursor.at, cursor.at + count), filled)
      cursor.at += count
      filled += count
      if (filled < wanted) return null
      const whole = partial
      partial = null
      filled = 0
      return whole
    },
  }
}

/** The wire carries what the protocol does not allow: its sender cannot be trusted any more. */
export function protocolError(what: string, cause?: unknown): EngineError {
  const reason = cause instanceof Error ? `: ${cause.message.slice(0, 200)}` : ''
  return new EngineError(
    'PREFIXD_E_ENGINE_PROTOCOL',
    `Engine protocol ${protocolVersion}: ${what}${reason}. ` +
      'Use a worker of the same prefixd version as the service.',
    { cause },
  )
}

function tooLarge(headerBytes: number, { frameHeaderBytes }: FrameLimits): EngineError {
  return new EngineError(
    'PREFIXD_E_ENGINE_TOO_LARGE',
    `The prompt takes ${headerBytes} bytes between service and engine; ${frameHeaderBytes} are ` +
      'allowed. Send fewer or shorter messages.',
  )
}

function checkLengths(headerBytes: number, payloadBytes: number, limits: FrameLimits): void {
  if (headerBytes === 0) throw protocolError('a frame has an empty header')
  if (headerBytes > limits.frameHeaderBytes) {
    throw protocolError(`header of ${headerBytes} bytes, at most ${limits.frameHeaderBytes}`)
  }
  if (payloadBytes > limits.framePayloadBytes) {
    throw protocolError(`payload of ${payloadBytes} bytes, at most ${limits.framePayloadBytes}`)
  }
}

function decodeHeader(bytes: Uint8Array): FrameHeader {
  let header: unknown
  try {
    header = packr.unpack(bytes)
  } catch (error) {
    throw protocolError('the header is not msgpack', error)
  }
  const plain = typeof header === 'object' && header !== null && !Array.isArray(header)
  if (!plain || typeof (header as { type?: unknown }).type !== 'string') {
    throw protocolError('the header is not a map with a string `type`')
  }
  return header as FrameHeader
}

// msgpackr would convert typed arrays element by element; the wire has their bytes. Every platform
// that the engines run on is little-endian.
function withBytes(header: FrameHeader): Record<string, unknown> {
  const plain: Record<string, unknown> = {}
  for (const [key, value] of Object.entries(header)) {
    plain[key] = ArrayBuffer.isView(value)
      ? Buffer.from(value.buffer, value.byteOffset, value.byteLength)
      : value
  }
  return plain
}

import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  createFrameDecoder,
  encodeFrame,
  type FrameHeader,
  protocolFrameLimits,
  protocolVersion,
} from '../../engines/frames.ts'
import { protocolFields, readToService, readToWorker } from '../../engines/messages.ts'

const limits = protocolFrameLimits

function bytesOf(header: FrameHeader, ...payload: Uint8Array[]): Buffer {
  return Buffer.concat(encodeFrame(header, payload, limits))
}

const protocolFault = expect.objectContaining({ code: 'PREFIXD_E_ENGINE_PROTOCOL' })

describe('the bytes of a frame', () => {
  it('are these, for as long as this is the protocol version', () => {
    expect(protocolVersion).toBe(1)
    expect(bytesOf({ type: 'cancel', id: 7 }).toString('hex')).toBe(
      // 17 bytes of header, no payload, a map of 2: type → cancel, id → 7.
      '1100000000000000' + '82' + 'a474797065' + 'a663616e63656c' + 'a26964' + '07',
    )
    const exported = { type: 'exported', id: 300, reservation: 1, generation: 2 ** 33, crc32s: [9] }
    expect(bytesOf(exported, Uint8Array.of(1, 2), Uint8Array.of(3)).toString('hex')).toBe(
      '3f00000003000000' +
        '85a474797065a86578706f72746564a26964cd012cab7265736572766174696f6e01' +
        'aa67656e65726174696f6ecb4200000000000000a663726333327391' +
        '09010203',
    )
  })

  it('hold token ids as bin of u32 LE', () => {
    const message = { type: 'tokens', id: 1, tokens: Uint32Array.of(1, 0x01020304) }
    expect(bytesOf(message).toString('hex')).toContain('a6746f6b656e73c4080100000004030201')
    const [frame] = createFrameDecoder(limits).push(bytesOf(message))
    if (frame === undefined) throw new Error('a frame was expected')
    expect(readToService(frame.header)).toEqual(message)
  })
})

describe('decoding: property', () => {
  const header = fc.record({
    type: fc.string(),
    text: fc.string(),
    count: fc.nat(),
    nested: fc.array(fc.record({ a: fc.integer(), b: fc.constantFrom(null, true) })),
  })
  const frame = fc.record({ header, payload: fc.uint8Array({ maxLength: 200 }) })

  it('gives the same frames however the stream is cut', () => {
    const property = fc.property(
      fc.array(frame, { maxLength: 8 }),
      fc.array(fc.nat(60), { minLength: 1, maxLength: 30 }),
      (frames, sizes) => {
        const stream = Buffer.concat(frames.map((it) => bytesOf(it.header, it.payload)))
        const decoder = createFrameDecoder(limits)
        const decoded = []
        for (let at = 0, turn = 0; at < stream.length; turn += 1) {
          const size = 1 + (sizes[turn % sizes.length] ?? 0)
          decoded.push(...decoder.push(stream.subarray(at, at + size)))
          at += size
        }
        decoder.end()
        expect(decoded.map((it) => it.header)).toEqual(frames.map((it) => it.header))
        expect(decoded.map((it) => [...it.payload])).toEqual(frames.map((it) => [...it.payload]))
      },
    )
    fc.assert(property, { numRuns: 200 })
  })

  it('answers arbitrary bytes with frames or a protocol error, never with anything else', () => {
    const property = fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const decoder = createFrameDecoder({ frameHeaderBytes: 32, framePayloadBytes: 32 })
      try {
        for (const { header } of decoder.push(bytes)) expect(typeof header.type).toBe('string')
      } catch (error) {
        expect(error).toEqual(protocolFault)
      }
    })
    fc.assert(property, { numRuns: 500 })
  })
})

describe('decoding nonsense', () => {
  const decode = (bytes: Uint8Array) => () => createFrameDecoder(limits).push(bytes)

  it('does not copy a payload that lies in one chunk', () => {
    const bytes = bytesOf({ type: 'x' }, Uint8Array.of(1, 2, 3))
    const [frame] = createFrameDecoder(limits).push(bytes)
    expect(frame?.payload.buffer).toBe(bytes.buffer)
  })

  it('refuses headers and payloads above their limits before it has read them', () => {
    const prefix = Buffer.alloc(8)
    prefix.writeUInt32LE(limits.frameHeaderBytes + 1, 0)
    expect(decode(prefix)).toThrow(protocolFault)
    prefix.writeUInt32LE(5, 0)
    prefix.writeUInt32LE(limits.framePayloadBytes + 1, 4)
    expect(decode(prefix)).toThrow(protocolFault)
  })

  it('refuses to send what the peer would refuse', () => {
    const small = { frameHeaderBytes: 8, framePayloadBytes: 2 }
    const tooLarge = expect.objectContaining({ code: 'PREFIXD_E_ENGINE_TOO_LARGE' })
    expect(() => encodeFrame({ type: 'a long one' }, [], small)).toThrow(tooLarge)
    expect(() => encodeFrame({ type: 'x' }, [new Uint8Array(3)], small)).toThrow(protocolFault)
  })

  it('refuses an empty header, bytes that are not msgpack, and headers that are not maps', () => {
    expect(decode(Buffer.alloc(8))).toThrow(protocolFault)
    for (const body of [[0xc1], [0x93, 1, 2, 3], [0x05], [0x80], [0xdf, 0xff, 0xff, 0xff, 0xff]]) {
      expect(decode(Buffer.from([body.length, 0, 0, 0, 0, 0, 0, 0, ...body]))).toThrow(
        protocolFault,
      )
    }
  })

  it('stays broken, and says when the stream ends inside a frame', () => {
    const decoder = createFrameDecoder(limits)
    expect(() => decoder.push(Buffer.alloc(8))).toThrow(protocolFault)
    expect(() => decoder.push(bytesOf({ type: 'x' }))).toThrow(protocolFault)
    const cut = createFrameDecoder(limits)
    cut.push(bytesOf({ type: 'x' }).subarray(0, 9))
    expect(() => cut.end()).toThrow(protocolFault)
  })
})

describe('docs/engine-protocol.md', () => {
  const document = readFileSync(new URL('../../docs/engine-protocol.md', import.meta.url), 'utf8')

  it('has the protocol version in its title, and every message with its fields', () => {
    expect(document).toContain(`# Engine protocol, version ${protocolVersion}\n`)
    const words = new Set(document.match(/[A-Za-z0-9]+/g))
    for (const [type, fields] of protocolFields.flatMap(Object.entries)) {
      expect(document).toMatch(new RegExp(`(\`${type}\`|### .*\\b${type}\\b)`))
      expect(fields.filter((field: string) => !words.has(field))).toEqual([])
    }
  })
})

describe('reading a message', () => {
  it('names the field that is wrong and what it must be', () => {
    const read = () => readToWorker({ type: 'trim', id: 1, sequence: 0, tokenCount: -1 })
    expect(read).toThrow('`tokenCount` of `trim` must be an integer ≥ 0')
    expect(() => readToService({ type: 'done', id: 1 })).toThrow('`finishReason` of `done` must be')
  })

  it('refuses unknown messages, also those of the other direction', () => {
    expect(() => readToWorker({ type: 'ready', info: {} })).toThrow(protocolFault)
    expect(() => readToService({ type: 'constructor' })).toThrow(protocolFault)
  })

  it('refuses token ids that are no whole words', () => {
    const read = () => readToWorker({ type: 'pieces', id: 1, tokens: new Uint8Array(6) })
    expect(read).toThrow('token ids as bin of u32 LE')
  })
})

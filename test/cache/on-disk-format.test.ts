import { describe, expect, test } from 'vitest'
import {
  createEntryDecoder,
  decodeFormat,
  decodeTime,
  decodeTokens,
  type Entry,
  encodeEntry,
  encodeFormat,
  encodeKey,
  encodeTime,
  encodeTokens,
  formatVersion,
} from '../../cache/tiers/record-format.ts'
import type { BlockHash, Namespace } from '../../cache/types.ts'

const entry: Entry = {
  record: {
    hash: '0123456789abcdef' as BlockHash,
    kind: 'window',
    parent: 'fedcba9876543210' as BlockHash,
    namespace: 'n1' as Namespace,
    blockIndex: 7,
    tokenCount: 256,
    grid: true,
    sizeBytes: 2 * 1024 * 1024 + 5,
    crc32s: [1, 0xffff_ffff, 3],
    createdAtMs: 1_700_000_000_000,
    lastUsedAtMs: 1_700_000_000_001,
  },
  runs: [
    { first: 4, count: 2 },
    { first: 9, count: 1 },
  ],
}

const goldenKey = '0123456789abcdef02'
const goldenEntry = [
  ['flags, namespace length, zero', '01020000'],
  ['block index', '07000000'],
  ['token count', '00010000'],
  ['runs', '02000000'],
  ['checksums, zero', '0300000000000000'],
  ['size', '0500200000000000'],
  ['created', '0068e5cf8b010000'],
  ['last used', '0168e5cf8b010000'],
  ['parent', 'fedcba9876543210'],
  ['namespace', '6e31'],
  ['runs', '04000000020000000900000001000000'],
  ['checksums', '01000000ffffffff03000000'],
  ['crc32 of the entry', '0af2577f'],
]
  .map(([, hex]) => hex)
  .join('')

const key = Buffer.from(goldenKey, 'hex')
const decode = (keyBytes: Buffer, value: Buffer) => createEntryDecoder().decode(keyBytes, value)

describe('format 1', () => {
  test('has the bytes that docs/on-disk-format.md says; a change needs a new version', () => {
    expect(formatVersion).toBe(1)
    expect(encodeKey(entry.record).toString('hex')).toBe(goldenKey)
    expect(encodeEntry(entry).toString('hex')).toBe(goldenEntry)
    expect(encodeTokens(Uint32Array.of(1, 0x01020304)).toString('hex')).toBe('0100000004030201')
    expect(encodeTime(1_700_000_000_000).toString('hex')).toBe('0068e5cf8b010000')
    expect(encodeFormat({ version: 1, slotBytes: 1_048_576 }).toString()).toBe(
      '{"version":1,"slotBytes":1048576}',
    )
  })

  test('is read back as it was written', () => {
    expect(decode(key, Buffer.from(goldenEntry, 'hex'))).toEqual(entry)
    expect(decodeTokens(Buffer.from('0100000004030201', 'hex'))).toEqual(
      Uint32Array.of(1, 0x01020304),
    )
    expect(decodeTime(encodeTime(1_700_000_000_000))).toBe(1_700_000_000_000)
  })

  test('keeps every kind apart', () => {
    const kinds = (['kv', 'window', 'state'] as const).map((kind) => ({ ...entry.record, kind }))
    for (const record of kinds) {
      expect(decode(encodeKey(record), encodeEntry({ ...entry, record }))?.record).toEqual(record)
    }
  })

  test('an entry with any bit changed, or cut, or with a strange key is not read', () => {
    const whole = encodeEntry(entry)
    for (let bit = 0; bit < whole.length * 8; bit++) {
      const damaged = Buffer.from(whole)
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7))
      expect(decode(key, damaged)).toBeNull()
    }
    for (let length = 0; length < whole.length; length++) {
      expect(decode(key, whole.subarray(0, length))).toBeNull()
    }
    expect(decode(key.subarray(0, 8), whole)).toBeNull()
    expect(decode(Buffer.from('0123456789abcdef09', 'hex'), whole)).toBeNull()
  })

  test.each(['', 'null', '1', '{}', '{"version":"1","slotBytes":1}', '\u0000'])(
    '%j is no format',
    (text) => expect(decodeFormat(Buffer.from(text))).toBeNull(),
  )

  test('what has no room is refused by name', () => {
    const strange = {
      ...entry,
      record: { ...entry.record, namespace: 'x'.repeat(256) as Namespace },
    }
    expect(() => encodeEntry(strange)).toThrow('namespace length is 256')
    const huge = { ...entry, record: { ...entry.record, sizeBytes: 2 ** 48 } }
    expect(() => encodeEntry(huge)).toThrow('sizeBytes')
  })
})

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
  encryptedVersion,
  formatVersion,
} from '../../cache/tiers/record-format.ts'
import { createSealing, fitsKey } from '../../cache/tiers/sealing.ts'
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

const seals = Uint8Array.from({ length: 3 * (12 + 16) }, (_, at) => at)
const sealedEntry: Entry = { ...entry, seals }
const goldenSealedEntry = goldenEntry
  .replace(/^01/, '03')
  .replace(/0af2577f$/, `${Buffer.from(seals).toString('hex')}a2e27556`)

describe('format 2, which is encrypted', () => {
  test('has the bytes that docs/on-disk-format.md says; a change needs a new version', () => {
    expect(encryptedVersion).toBe(2)
    expect(encodeEntry(sealedEntry).toString('hex')).toBe(goldenSealedEntry)
    const marked = { version: 2, slotBytes: 1_048_576, key: { salt: 'ab', check: 'cd' } }
    expect(encodeFormat(marked).toString()).toBe(
      '{"version":2,"slotBytes":1048576,"key":{"salt":"ab","check":"cd"}}',
    )
    expect(decodeFormat(encodeFormat(marked))).toEqual(marked)
  })

  test('is read back as it was written', () => {
    expect(decode(key, encodeEntry(sealedEntry))).toEqual(sealedEntry)
  })

  test('has a seal for each checksum, or none at all', () => {
    const short = { ...entry, seals: seals.subarray(28) }
    expect(() => encodeEntry(short)).toThrow('56 bytes of seals; 3 MiB have 84')
  })

  // Made once by the code, and checked with another implementation of HKDF and AES-GCM.
  test('opens what a key and a salt have sealed, for ever', () => {
    const mark = { salt: '11'.repeat(32), check: '80f1c08c8b34eec7f11aaa8f52d1f75b' }
    const given = Buffer.alloc(32, 0x22)
    expect(fitsKey(given, mark)).toBe(true)
    expect(fitsKey(Buffer.alloc(32, 0x23), mark)).toBe(false)
    const sealing = createSealing(given, mark)
    const opened = sealing.openTokens(
      entry.record.hash,
      Buffer.from(
        '000102030405060708090a0bdbdd11f77b4af243cf1ca0035af5b8174667ad689efe78b8',
        'hex',
      ),
    )
    expect(opened?.toString('hex')).toBe('0100000002000000')
  })

  test('opens a slot that a key and a salt have sealed, for ever', async () => {
    const sealing = createSealing(Buffer.alloc(32, 0x22), { salt: '11'.repeat(32), check: '' })
    const bytes = Buffer.from('e512181ef4fb5fa94b8cf186c6ae32', 'hex')
    const seal = Buffer.from('000102030405060708090a0ba6cf69207847ed56cdb6644eb897b857', 'hex')
    expect(await sealing.openSlot(entry.record, 1, seal, bytes)).toBe(true)
    expect(bytes.toString()).toBe('keys and values')
  })
})

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

  test.each([
    ['', entry],
    ['sealed ', sealedEntry],
  ])('a%s entry with any bit changed, or cut, or with a strange key is not read', (_, stored) => {
    const whole = encodeEntry(stored)
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

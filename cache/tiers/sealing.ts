/**
 * Encryption at rest, by AES-256-GCM. Each started MiB of a record, and the token ids of each
 * block, are sealed alone: under a nonce that chance gives, and under the name of what they are, so
 * that nothing opens in another's place. The keys are the store's own: made of the given one and a
 * salt.
 */
import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'
import type { BlockHash } from '../types.ts'
import { checkLibcrypto, openInPlace, sealInto } from './libcrypto.ts'
import { encodeHash, encodeKey, type KeyMark, nonceBytes, tagBytes } from './record-format.ts'
import type { RecordKey } from './tier.ts'

/** What the whole store's keys are made of. */
export const encryptionKeyBytes = 32

export interface Sealing {
  /**
   * Seals MiB `slot` of a record into memory of the same length, off the event loop. Resolves with
   * what opens it: `sealBytes`, the nonce and the tag.
   */
  sealSlot(key: RecordKey, slot: number, bytes: Uint8Array, into: Uint8Array): Promise<Uint8Array>
  /** In place. False: it is not what was sealed; the bytes are then worth nothing. */
  openSlot(key: RecordKey, slot: number, seal: Uint8Array, bytes: Uint8Array): Promise<boolean>
  /** On the event loop: a few µs. */
  sealTokens(hash: BlockHash, bytes: Buffer): Buffer
  /** Null: they are not what was sealed. */
  openTokens(hash: BlockHash, bytes: Uint8Array): Buffer | null
  /**
   * What `openTokens` refuses, opened all the same: of what was sealed what has not changed.
   * Anybody may have written it: good for a likeness, and for nothing else.
   */
  openDamagedTokens(hash: BlockHash, bytes: Uint8Array): Buffer | null
}

const cipher = 'aes-256-gcm'
const whole = { authTagLength: tagBytes }
const saltBytes = 32
const checkBytes = 16

/** A mark for a new store. */
export function markKey(key: Uint8Array): KeyMark {
  const salt = randomBytes(saltBytes)
  return { salt: salt.toString('hex'), check: checkOf(key, salt).toString('hex') }
}

export function fitsKey(key: Uint8Array, { salt, check }: KeyMark): boolean {
  const expected = checkOf(key, Buffer.from(salt, 'hex'))
  const found = Buffer.from(check, 'hex')
  return found.length === expected.length && timingSafeEqual(found, expected)
}

const checkOf = (key: Uint8Array, salt: Uint8Array): Buffer =>
  derive(key, salt, 'check', checkBytes)

/** A key for each purpose: none of them tells anything of another, or of the given one. */
const derive = (
  key: Uint8Array,
  salt: Uint8Array,
  purpose: 'check' | 'slots' | 'tokens',
  sizeBytes = encryptionKeyBytes,
): Buffer => Buffer.from(hkdfSync('sha256', key, salt, `prefixd store: ${purpose}`, sizeBytes))

/** Throws `PREFIXD_E_CACHE_KEY` where this Node cannot seal. */
export function createSealing(key: Uint8Array, mark: KeyMark): Sealing {
  checkLibcrypto()
  const salt = Buffer.from(mark.salt, 'hex')
  const slotKey = derive(key, salt, 'slots')
  const tokenKey = createSecretKey(derive(key, salt, 'tokens'))

  return {
    async sealSlot(record, slot, bytes, into) {
      const nonce = randomBytes(nonceBytes)
      const name = slotName(record, slot)
      const tag = await sealInto({ key: slotKey, nonce, name }, bytes, into)
      return Buffer.concat([nonce, tag])
    },
    openSlot(record, slot, seal, bytes) {
      const nonce = seal.subarray(0, nonceBytes)
      const name = slotName(record, slot)
      return openInPlace({ key: slotKey, nonce, name }, seal.subarray(nonceBytes), bytes)
    },
    sealTokens(hash, bytes) {
      const nonce = randomBytes(nonceBytes)
      const sealing = createCipheriv(cipher, tokenKey, nonce, whole).setAAD(encodeHash(hash))
      const sealed = sealing.update(bytes)
      sealing.final()
      return Buffer.concat([nonce, sealed, sealing.getAuthTag()])
    },
    openTokens(hash, bytes) {
      const opening = beginOpening(tokenKey, hash, bytes)
      if (opening === null) return null
      try {
        opening.decipher.final()
        return opening.opened
      } catch {
        return null
      }
    },
    openDamagedTokens: (hash, bytes) => beginOpening(tokenKey, hash, bytes)?.opened ?? null,
  }
}

/** Whether it is what was sealed shows at the end, which the caller sees to. */
function beginOpening(tokenKey: KeyObject, hash: BlockHash, bytes: Uint8Array) {
  // LMDB lends a longer buffer than it says: only its `length` is right.
  const tagAt = bytes.length - tagBytes
  if (tagAt < nonceBytes) return null
  const decipher = createDecipheriv(cipher, tokenKey, bytes.subarray(0, nonceBytes), whole)
  decipher.setAAD(encodeHash(hash)).setAuthTag(bytes.subarray(tagAt, bytes.length))
  return { decipher, opened: decipher.update(bytes.subarray(nonceBytes, tagAt)) }
}

function slotName(record: RecordKey, slot: number): Buffer {
  const place = Buffer.alloc(4)
  place.writeUInt32LE(slot)
  return Buffer.concat([encodeKey(record), place])
}

/**
 * Who has written an export: an Ed25519 key that is made when it is first used and stays in the
 * data directory. Descriptions are signed one by one, so that nothing has to be trusted, or kept,
 * before it was checked.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { CacheError } from '../errors.ts'
import { damaged, encodeFrame, type Frame, type FrameType } from './frames.ts'

export interface Signer {
  /** 32 bytes as base64url: how the key is called in files and messages. */
  readonly name: string
  sign(bytes: Uint8Array): Buffer
}

const keyFile = 'signing.key'
const trustedFile = 'trusted-signers'
const signatureBytes = 64
const othersMask = 0o077

/** Makes the key when there is none. Throws `PREFIXD_E_CACHE_DIRECTORY` for one that others see. */
export function openSigner(directory: string): Signer {
  const path = join(directory, keyFile)
  try {
    if (!existsSync(path)) makeKey(path)
    if ((statSync(path).mode & othersMask) !== 0) throw new Error('others can read it')
    const key = createPrivateKey(readFileSync(path))
    return { name: nameOf(createPublicKey(key)), sign: (bytes) => sign(null, bytes, key) }
  } catch (cause) {
    throw new CacheError(
      'PREFIXD_E_CACHE_DIRECTORY',
      `The signing key ${path} cannot be used: ${cause}. Make it readable for this user only ` +
        '(chmod 600), or delete it: a new one is made.',
      { cause },
    )
  }
}

/** Renamed into place, so that a crash leaves a whole key or none. */
function makeKey(path: string): void {
  const { privateKey } = generateKeyPairSync('ed25519')
  const fd = openSync(`${path}.new`, 'w', 0o600)
  try {
    writeFileSync(fd, privateKey.export({ type: 'pkcs8', format: 'pem' }))
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(`${path}.new`, path)
}

/** The last 32 bytes of its DER form are the key itself. */
const nameOf = (key: KeyObject): string =>
  key.export({ type: 'spki', format: 'der' }).subarray(-32).toString('base64url')

/** The names of `trusted-signers`, one on each line; what stands behind a `#` is for people. */
export function trustedSigners(directory: string): ReadonlySet<string> {
  const path = join(directory, trustedFile)
  const lines = existsSync(path) ? readFileSync(path, 'utf8').split('\n') : []
  return new Set(lines.map((line) => line.replace(/#.*/, '').trim()).filter((line) => line !== ''))
}

const derBefore = Buffer.from('302a300506032b6570032100', 'hex')

function isSignedBy(signer: string, bytes: Uint8Array, signature: Uint8Array): boolean {
  const raw = Buffer.from(signer, 'base64url')
  if (raw.length !== 32) return false
  const key = Buffer.concat([derBefore, raw])
  try {
    return verify(null, bytes, createPublicKey({ key, type: 'spki', format: 'der' }), signature)
  } catch {
    return false
  }
}

/** Binds a description to its type, its place and its file: none can be moved or left out. */
function signedBytes(type: FrameType, number: number, file: Uint8Array, text: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`prefixd export 1 ${type} ${number} `), file, text])
}

export const digestOf = (text: Uint8Array): Buffer => createHash('sha256').update(text).digest()
/** Of the header itself. */
export const noFile = Buffer.alloc(32)

export interface SignedPlace {
  readonly type: FrameType
  readonly number: number
  /** Digest of the header's description. */
  readonly file: Uint8Array
}

/** A frame of a description, as JSON, with its signature in front. */
export function encodeSigned(signer: Signer, place: SignedPlace, description: object): Buffer {
  const text = Buffer.from(JSON.stringify(description))
  const signature = signer.sign(signedBytes(place.type, place.number, place.file, text))
  return encodeFrame(place.type, Buffer.concat([signature, text]))
}

/** The bytes of the description. Throws `PREFIXD_E_IMPORT_DAMAGED`. */
export function descriptionOf({ number, payload }: Frame): Buffer {
  if (payload.length <= signatureBytes) throw damaged(number, 'it is too short')
  return payload.subarray(signatureBytes)
}

/** Throws `PREFIXD_E_IMPORT_DAMAGED` unless the signer has signed this frame for this file. */
export function checkSigned({ type, number, payload }: Frame, signer: string, file: Uint8Array) {
  const text = payload.subarray(signatureBytes)
  const bytes = signedBytes(type, number, file, text)
  if (isSignedBy(signer, bytes, payload.subarray(0, signatureBytes))) return
  throw damaged(number, 'its signature is wrong')
}

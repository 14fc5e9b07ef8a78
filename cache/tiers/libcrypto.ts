/**
 * AES-256-GCM of the OpenSSL that Node has in itself, on threads of the libuv pool and from memory
 * into memory. `node:crypto` calls the same functions on the event loop, and gives what comes out
 * in fresh memory. Bound once, by koffi.
 */
import koffi from 'koffi'
import { CacheError } from '../errors.ts'
import { tagBytes } from './record-format.ts'

/** What a piece is sealed with. Key and nonce together are used for one piece only. */
export interface Secret {
  /** 32 bytes. */
  readonly key: Uint8Array
  readonly nonce: Uint8Array
  /** What the piece is; it opens under the same name only. */
  readonly name: Uint8Array
}

interface Call {
  (...args: unknown[]): unknown
  async(...args: unknown[]): void
}

interface Functions {
  readonly aes256Gcm: Call
  readonly create: Call
  readonly destroy: Call
  readonly begin: Call
  readonly update: Call
  readonly end: Call
  readonly control: Call
}

const getTag = 0x10
const setTag = 0x11

let bound: Functions | null = null

function functions(): Functions {
  bound ??= bind()
  return bound
}

function bind(): Functions {
  try {
    // Null is this process itself: Node shows its addons what it is made of.
    const library = koffi.load(null)
    const bindOne = (declaration: string) => library.func(declaration) as Call
    return {
      aes256Gcm: bindOne('void *EVP_aes_256_gcm()'),
      create: bindOne('void *EVP_CIPHER_CTX_new()'),
      destroy: bindOne('void EVP_CIPHER_CTX_free(void *)'),
      begin: bindOne('int EVP_CipherInit_ex(void *, void *, void *, void *, void *, int)'),
      update: bindOne('int EVP_CipherUpdate(void *, void *, void *, void *, int)'),
      end: bindOne('int EVP_CipherFinal_ex(void *, void *, void *)'),
      control: bindOne('int EVP_CIPHER_CTX_ctrl(void *, int, int, void *)'),
    }
  } catch (cause) {
    throw new CacheError(
      'PREFIXD_E_CACHE_KEY',
      `This Node does not let others call its OpenSSL, which encryption needs: ${cause}. Start ` +
        'prefixd with the Node that it brings along, or without a key.',
      { cause },
    )
  }
}

/** Throws `PREFIXD_E_CACHE_KEY` where nothing can be sealed. */
export const checkLibcrypto = (): void => void functions()

/** `into` is as long as `bytes` and gets them sealed; it may be the same. Resolves with the tag. */
export function sealInto(secret: Secret, bytes: Uint8Array, into: Uint8Array): Promise<Uint8Array> {
  return withContext(secret, true, async (context) => {
    await update(context, bytes, into)
    if (!end(context)) throw failed('EVP_CipherFinal_ex')
    const tag = new Uint8Array(tagBytes)
    must('EVP_CIPHER_CTX_ctrl', functions().control(context, getTag, tagBytes, tag))
    return tag
  })
}

/** In place. False: they are not what was sealed, or not under this name; then they are noise. */
export function openInPlace(secret: Secret, tag: Uint8Array, bytes: Uint8Array): Promise<boolean> {
  return withContext(secret, false, async (context) => {
    await update(context, bytes, bytes)
    must('EVP_CIPHER_CTX_ctrl', functions().control(context, setTag, tagBytes, tag))
    return end(context)
  })
}

async function withContext<T>(
  { key, nonce, name }: Secret,
  isSealing: boolean,
  use: (context: unknown) => Promise<T>,
): Promise<T> {
  const { aes256Gcm, create, destroy, begin, update } = functions()
  const context = create()
  if (context === null) throw failed('EVP_CIPHER_CTX_new')
  try {
    const way = isSealing ? 1 : 0
    must('EVP_CipherInit_ex', begin(context, aes256Gcm(), null, key, nonce, way))
    must('EVP_CipherUpdate', update(context, null, new Int32Array(1), name, name.length))
    return await use(context)
  } finally {
    destroy(context)
  }
}

/** The only one that takes time: it goes over all bytes. */
function update(context: unknown, bytes: Uint8Array, into: Uint8Array): Promise<void> {
  const count = new Int32Array(1)
  return new Promise((resolve, reject) => {
    const call = functions().update
    call.async(context, into, count, bytes, bytes.length, (error: Error | null, ok: number) => {
      if (error !== null) reject(error)
      else if (ok !== 1 || count[0] !== bytes.length) reject(failed('EVP_CipherUpdate'))
      else resolve()
    })
  })
}

/** GCM has no bytes left to give at its end: it only makes the tag, or compares it. */
const end = (context: unknown): boolean =>
  functions().end(context, new Uint8Array(tagBytes), new Int32Array(1)) === 1

function must(name: string, result: unknown): void {
  if (result !== 1) throw failed(name)
}

const failed = (name: string): CacheError =>
  new CacheError('PREFIXD_E_CACHE_IO', `OpenSSL's ${name} failed.`)

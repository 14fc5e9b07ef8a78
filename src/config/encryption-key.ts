/** The key of an encrypted store: out of a file or the environment, and never from a flag. */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs'
import { PrefixdError } from '../errors.ts'
import { limits } from './limits.ts'
import { type Config, settings } from './schema.ts'

/** Has the key itself. */
export const keyVariable = 'PREFIXD_ENCRYPT_KEY'

const keyBytes = 32
const othersMask = 0o077
const howToMake = `(umask 077; head -c ${keyBytes} /dev/urandom | base64 > KEYFILE) makes one`

/**
 * Null where nothing is to be encrypted. Throws `PREFIXD_E_CONFIG` for a key that is none, that
 * others can read or that is given twice, and beside `keep-text`, whose words are not encrypted.
 */
export function readEncryptionKey(
  { encryptKeyFile: path, keepText }: Pick<Config, 'encryptKeyFile' | 'keepText'>,
  env: Readonly<Record<string, string | undefined>>,
): Buffer | null {
  const fromEnv = env[keyVariable]
  if (path === null && !fromEnv) return null
  if (path !== null && fromEnv) {
    throw refuse(
      `A key stands in ${keyVariable}, and ${key} names a file with another one.`,
      'Leave one of them away.',
    )
  }
  if (keepText) {
    throw refuse(
      'What is stored is to be encrypted, and keep-text is on: its words of prompts would not be.',
      'Leave keep-text away, or the key.',
      settings.keepText.key,
    )
  }
  return path === null ? decode(fromEnv as string, keyVariable) : decode(readSecretly(path), path)
}

const { key } = settings.encryptKeyFile

/** 64 hex digits, or base64 of either alphabet, with or without what fills it up. */
function decode(text: string, from: string): Buffer {
  const written = text.trim()
  const isHex = /^[0-9a-f]{64}$/i.test(written)
  const isBase64 = /^[\w+/-]{43}=?$/.test(written)
  if (isHex) return Buffer.from(written, 'hex')
  if (isBase64) return Buffer.from(written, 'base64')
  throw refuse(
    `${from} has no key: it must be ${keyBytes} bytes, as 64 hex digits or in base64.`,
    `${howToMake}.`,
  )
}

function readSecretly(path: string): string {
  try {
    // Without waiting for somebody who writes into it, where it is a pipe.
    const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const stats = fstatSync(fd)
      if (!stats.isFile()) throw refuse(`${path} is not a file.`, `${howToMake}.`)
      if ((stats.mode & othersMask) !== 0) {
        throw refuse(`${path} is open to others.`, `Make it yours alone: chmod 600 ${path}`)
      }
      if (stats.size > limits.encryptKeyFileBytes) {
        throw refuse(`${path} has ${stats.size} bytes: it is no key.`, `${howToMake}.`)
      }
      return readFileSync(fd, 'utf8')
    } finally {
      closeSync(fd)
    }
  } catch (cause) {
    if (cause instanceof PrefixdError) throw cause
    const { code } = cause as NodeJS.ErrnoException
    throw refuse(
      `${path} cannot be read (${code}).`,
      `Name the file of a key; ${howToMake}.`,
      key,
      cause,
    )
  }
}

const refuse = (message: string, next: string, field = key, cause?: unknown): PrefixdError =>
  new PrefixdError('PREFIXD_E_CONFIG', message, {
    field,
    next,
    ...(cause === undefined ? {} : { cause }),
  })

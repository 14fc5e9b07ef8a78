import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readEncryptionKey } from '../../src/config/encryption-key.ts'
import { PrefixdError } from '../../src/errors.ts'

const key = Buffer.from(Array.from({ length: 32 }, (_, at) => at * 8 + 7))
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'prefixd-key-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

function keyFile(text: string, mode = 0o600): string {
  const path = join(folder, 'key')
  writeFileSync(path, text)
  chmodSync(path, mode)
  return path
}

const readFile = (encryptKeyFile: string, keepText = false) =>
  readEncryptionKey({ encryptKeyFile, keepText }, {})
const readVariable = (text: string | undefined) =>
  readEncryptionKey({ encryptKeyFile: null, keepText: false }, { PREFIXD_ENCRYPT_KEY: text })

function refusal(read: () => unknown): PrefixdError {
  try {
    read()
  } catch (error) {
    expect(error).toBeInstanceOf(PrefixdError)
    expect(error).toMatchObject({ code: 'PREFIXD_E_CONFIG', next: expect.stringMatching(/./) })
    return error as PrefixdError
  }
  throw new Error('it was not refused')
}

describe('the key of an encrypted store', () => {
  it.each([
    ['hex', key.toString('hex')],
    ['capital hex', key.toString('hex').toUpperCase()],
    ['base64', key.toString('base64')],
    ['base64url', key.toString('base64url')],
  ])('is read as %s, from a file or from the environment', (_, text) => {
    expect(readFile(keyFile(`${text}\n`))).toEqual(key)
    expect(readVariable(text)).toEqual(key)
  })

  it('is null where nobody has given one', () => {
    expect(readVariable(undefined)).toBeNull()
    expect(readVariable('')).toBeNull()
  })

  it.each(['', 'secret', key.toString('hex').slice(1), `${key.toString('base64')}A`, ' '])(
    'is refused where %j stands in its place, and not repeated',
    (text) => {
      const { message, next } = refusal(() => readFile(keyFile(text)))
      expect(message).toMatch(/must be 32 bytes, as 64 hex digits or in base64/)
      if (text.trim() !== '') expect(message).not.toContain(text)
      expect(next).toMatch(/urandom/)
    },
  )

  it.each([0o640, 0o604, 0o620])('is refused in a file of mode %o, which others reach', (mode) => {
    const path = keyFile(key.toString('hex'), mode)
    expect(refusal(() => readFile(path))).toMatchObject({
      field: 'encrypt-key-file',
      message: `${path} is open to others.`,
      next: `Make it yours alone: chmod 600 ${path}`,
    })
  })

  it('is refused where it is too long for a key, a folder, or missing', () => {
    expect(refusal(() => readFile(keyFile('a'.repeat(2000)))).message).toMatch('has 2000 bytes')
    expect(refusal(() => readFile(folder)).message).toMatch('is not a file')
    expect(refusal(() => readFile(join(folder, 'none'))).message).toMatch('ENOENT')
  })

  it('is refused at once where it is a pipe that nobody writes into', () => {
    const pipe = join(folder, 'pipe')
    expect(spawnSync('mkfifo', ['-m', '600', pipe]).status).toBe(0)
    expect(refusal(() => readFile(pipe)).message).toMatch('is not a file')
  })

  it('is refused where it is given twice', () => {
    const given = { encryptKeyFile: keyFile(key.toString('hex')), keepText: false }
    const env = { PREFIXD_ENCRYPT_KEY: key.toString('hex') }
    expect(refusal(() => readEncryptionKey(given, env)).message).toMatch('another one')
  })

  it('is refused beside keep-text, whose words would not be encrypted', () => {
    const path = keyFile(key.toString('hex'))
    expect(refusal(() => readFile(path, true))).toMatchObject({ field: 'keep-text' })
  })
})

import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { parseKeyList } from '../../../src/api/auth/key-list.ts'
import { createKeyRing, saltWithin } from '../../../src/api/auth/key-ring.ts'
import { readServerSecret } from '../../../src/api/auth/server-secret.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'prefixd-secret-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

test('the secret is made once, for this user only, and is the same ever after', () => {
  const secret = readServerSecret(folder)
  expect(secret).toHaveLength(32)
  expect(readdirSync(folder)).toEqual(['secret.key'])
  expect(statSync(join(folder, 'secret.key')).mode & 0o777).toBe(0o600)
  expect(readServerSecret(folder)).toEqual(secret)
})

test('another folder has another secret', () => {
  const other = mkdtempSync(join(tmpdir(), 'prefixd-secret-'))
  expect(readServerSecret(other)).not.toEqual(readServerSecret(folder))
  rmSync(other, { recursive: true })
})

test.each([
  ['that others can read', (path: string) => chmodSync(path, 0o640), /can be read by others/],
  ['that was cut', (path: string) => writeFileSync(path, 'half'), /has 4 bytes, not 32/],
])('a secret %s is refused, with the way out', (_what, spoil, message) => {
  readServerSecret(folder)
  spoil(join(folder, 'secret.key'))
  expect(() => readServerSecret(folder)).toThrowError(
    expect.objectContaining({
      code: 'PREFIXD_E_CACHE_DIRECTORY',
      message: expect.stringMatching(message),
      next: expect.stringContaining('chmod 600'),
    }),
  )
})

const saltOf = (line: string, secret = Buffer.alloc(32, 1)) => {
  const [key = ''] = line.split(' ')
  return createKeyRing(parseKeyList(line, 'keys'), secret).identify(key)?.salt ?? ''
}
const key = 'k'.repeat(20)

test('a salt depends on the secret and on the key or its group', () => {
  expect(saltOf(key)).toBe(saltOf(`${key} admin`))
  expect(saltOf(`${key} team`)).toBe(saltOf(`${'x'.repeat(20)} team`))
  const all = [
    saltOf(key),
    saltOf('x'.repeat(20)),
    saltOf(`${key} team`),
    saltOf(`${key} ${key}`),
    saltOf(key, Buffer.alloc(32, 2)),
  ]
  expect(new Set(all).size).toBe(all.length)
})

test('a client’s own cache_salt divides what its key shares and reaches nothing else', () => {
  const mine = saltOf(key)
  const yours = saltOf('x'.repeat(20))
  const all = [mine, yours, saltWithin(mine, 'a'), saltWithin(mine, 'b'), saltWithin(yours, 'a')]
  expect(new Set([...all, saltWithin('', 'a'), saltWithin('', mine)]).size).toBe(7)
  expect(saltWithin(mine, 'a')).toBe(saltWithin(mine, 'a'))
})

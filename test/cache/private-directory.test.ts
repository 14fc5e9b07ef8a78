import { chmodSync, chownSync, existsSync, mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { makePrivate } from '../../cache/tiers/private-directory.ts'
import { useCacheDirectory } from '../support/cache-directory.ts'
import { makeDirectory } from '../support/stored-records.ts'

let directory: ReturnType<typeof makeDirectory>
let told: string[]

beforeEach(() => {
  directory = makeDirectory()
  told = []
})

afterEach(() => directory.remove())

const modeOf = (path: string): number => statSync(path).mode & 0o7777
const tighten = (path: string) => makePrivate(path, (message) => told.push(message))

function folder(mode: number): string {
  const path = join(directory.path, 'data')
  mkdirSync(path)
  chmodSync(path, mode)
  return path
}

/** Of somebody else: root may give folders away, and everybody else does not own the top one. */
function foreignFolder(): string {
  if (process.getuid?.() !== 0) return '/'
  const path = folder(0o755)
  chownSync(path, 4321, 4321)
  return path
}

const refused = (what: RegExp) =>
  expect.objectContaining({
    code: 'PREFIXD_E_CACHE_DIRECTORY',
    message: expect.stringMatching(what),
  })

describe('a data directory that exists', () => {
  test.each([0o755, 0o750, 0o701, 0o2775])('with mode %o is made private, and says so', (mode) => {
    const path = folder(mode)
    tighten(path)
    expect(modeOf(path) & 0o777).toBe(0o700)
    expect(told.join()).toMatch(`was open to others (mode ${mode.toString(8)})`)
  })

  test('stays as it is when only its owner can enter it', () => {
    const path = folder(0o700)
    tighten(path)
    expect([modeOf(path), told]).toEqual([0o700, []])
  })

  test('is left to be made when it is missing', () => {
    tighten(join(directory.path, 'later'))
    expect([existsSync(join(directory.path, 'later')), told]).toEqual([false, []])
  })

  test('is refused, and left as it is, when it is for everybody', () => {
    const path = folder(0o1777)
    expect(() => tighten(path)).toThrow(refused(/a folder for everybody.*Name a folder inside it/))
    expect(modeOf(path)).toBe(0o1777)
  })

  test('is refused, and left as it is, when it is another user’s', () => {
    const path = foreignFolder()
    const before = modeOf(path)
    expect(() => tighten(path)).toThrow(refused(/it belongs to another user/))
    expect([modeOf(path), told]).toEqual([before, []])
  })
})

describe('a cache', () => {
  const data = useCacheDirectory()

  test('is opened in a directory that it has made private', async () => {
    chmodSync(data.path, 0o755)
    const { warnings } = await data.open()
    expect(modeOf(data.path)).toBe(0o700)
    expect(warnings.join()).toMatch('its mode is 700 now')
  })

  test('keeps its index to its owner, as all else', async () => {
    const { close } = await data.open()
    const files = ['index.mdb', 'index.mdb-lock'].map((name) => join(data.path, name))
    expect(files.map(modeOf)).toEqual([0o600, 0o600])
    for (const file of files) chmodSync(file, 0o644)
    await close()
    await data.open()
    expect(files.map(modeOf)).toEqual([0o600, 0o600])
  })

  test('is not opened where others look in, and leaves nothing there', async () => {
    const path = folder(0o1777)
    await expect(data.open(0, path)).rejects.toEqual(refused(/for everybody/))
    expect(existsSync(join(path, 'prefixd.lock'))).toBe(false)
  })
})

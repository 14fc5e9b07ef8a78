import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { lockDirectory } from '../../cache/tiers/directory-lock.ts'
import { makeDirectory } from '../support/stored-records.ts'

let directory: ReturnType<typeof makeDirectory>

beforeEach(() => {
  directory = makeDirectory()
})

afterEach(() => directory.remove())

const module = new URL('../../cache/tiers/directory-lock.ts', import.meta.url).href

/** A process that holds the lock until it is killed. */
async function startHolder(path: string) {
  const code = `
    const { lockDirectory } = await import(${JSON.stringify(module)})
    lockDirectory(${JSON.stringify(path)})
    process.stdout.write('locked')
    process.stdin.resume()`
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  return child
}

test('creates a missing directory for this user only', () => {
  const path = join(directory.path, 'a', 'b')
  const lock = lockDirectory(path)
  expect(statSync(path).mode & 0o777).toBe(0o700)
  expect(lock.directory).toBe(path)
  lock.release()
})

test('a second holder learns who has the directory and what to do', async () => {
  const holder = await startHolder(directory.path)
  expect(() => lockDirectory(directory.path)).toThrow(
    expect.objectContaining({
      code: 'PREFIXD_E_CACHE_LOCKED',
      message: expect.stringMatching(
        new RegExp(`${directory.path} is in use by process ${holder.pid}.*--dir`),
      ),
    }),
  )
  holder.kill('SIGKILL')
  await once(holder, 'close')
})

test('a holder that was killed leaves nothing to clean up', async () => {
  const holder = await startHolder(directory.path)
  holder.kill('SIGKILL')
  await once(holder, 'close')
  const lock = lockDirectory(directory.path)
  expect(readFileSync(join(directory.path, 'prefixd.lock'), 'utf8')).toBe(`${process.pid}\n`)
  lock.release()
})

test('the same process cannot take it twice, and can take it again after release', () => {
  const first = lockDirectory(directory.path)
  expect(() => lockDirectory(directory.path)).toThrow(`process ${process.pid}`)
  first.release()
  first.release()
  lockDirectory(directory.path).release()
})

test('a child that outlives the holder does not keep the lock', async () => {
  const lock = lockDirectory(directory.path)
  const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: 'pipe' })
  lock.release()
  lockDirectory(directory.path).release()
  child.kill('SIGKILL')
  await once(child, 'close')
})

test('a path that cannot be a directory is a typed error that says what to do', () => {
  const file = join(directory.path, 'file')
  writeFileSync(file, '')
  expect(() => lockDirectory(join(file, 'cache'))).toThrow(
    expect.objectContaining({
      code: 'PREFIXD_E_CACHE_DIRECTORY',
      message: expect.stringContaining('--dir'),
    }),
  )
})

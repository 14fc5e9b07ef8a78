/** A store with a key, as a user starts the real service with it. */
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  createServiceFolder,
  fakeFlags,
  fakeTokens,
  type TestService,
} from './support/start-service.ts'

const key = Buffer.alloc(32, 3).toString('base64')
const inVariable = { PREFIXD_ENCRYPT_KEY: key }

interface Answer {
  readonly cache: { readonly status: string; readonly tier: string | null }
}

async function ask(service: TestService): Promise<Answer['cache']> {
  const prompt = [...fakeTokens(4, 600)]
  const reply = await service.post('/v1/completions', { model: 'fake', prompt, max_tokens: 0 })
  expect(reply.status).toBe(200)
  return ((await reply.json()) as Answer).cache
}

const refusal = (start: Promise<unknown>): Promise<string> =>
  start.then(
    () => {
      throw new Error('the service started')
    },
    (error: Error) => error.message,
  )

test('what was stored with a key is there after a restart with it, from a file or a variable', async () => {
  const folder = createServiceFolder()
  const file = join(folder.path, 'key')
  writeFileSync(file, `${key}\n`, { mode: 0o600 })
  const before = await folder.start({ ...fakeFlags, 'encrypt-key-file': file })
  expect(await ask(before)).toMatchObject({ status: 'miss' })
  await before.stop()
  const after = await folder.start(fakeFlags, {}, undefined, inVariable)
  expect(await ask(after)).toMatchObject({ status: 'hit', tier: 'ssd' })
  const verified = await (await after.post('/v1/cache/verify', {})).text()
  expect(verified).toMatch(/"type":"done".*"findings":0/)
})

test('without its key, or with another one, it is refused with what to do', async () => {
  const folder = createServiceFolder()
  const first = await folder.start(fakeFlags, {}, undefined, inVariable)
  await ask(first)
  await first.stop()
  const without = await refusal(folder.start())
  expect(without).toContain('ended (exit code 1)')
  expect(without).toMatch(/is encrypted, and no key was given.*--encrypt-key-file/s)
  const other = { PREFIXD_ENCRYPT_KEY: Buffer.alloc(32, 4).toString('hex') }
  const wrong = await refusal(folder.start(fakeFlags, {}, undefined, other))
  expect(wrong).toMatch(/encrypted with another key/)
  expect(wrong).not.toContain(other.PREFIXD_ENCRYPT_KEY)
})

test('a key file that others can read stops the start before anything is written', async () => {
  const folder = createServiceFolder()
  const file = join(folder.path, 'key')
  writeFileSync(file, key)
  chmodSync(file, 0o644)
  const said = await refusal(folder.start({ ...fakeFlags, 'encrypt-key-file': file }))
  expect(said).toContain('ended (exit code 2)')
  expect(said).toMatch(/is open to others.*chmod 600/s)
  expect(existsSync(join(folder.data, 'spill.slab'))).toBe(false)
})

test.runIf(process.platform === 'linux')('the worker does not inherit the key', async () => {
  const service = await createServiceFolder().start(fakeFlags, {}, undefined, inVariable)
  const { data } = (await service.get('/v1/workers')) as { data: { pid: number }[] }
  const environment = data.map(({ pid }) => readFileSync(`/proc/${pid}/environ`, 'utf8'))
  expect(environment).toHaveLength(1)
  expect(environment.join()).toContain('PREFIXD_FAKE=')
  expect(environment.join()).not.toContain('PREFIXD_ENCRYPT_KEY')
})

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { complete } from '../bench/completions-client.ts'
import { prefixd } from './cli/run.ts'
import {
  createServiceFolder,
  fakeFlags,
  fakeTokens,
  type TestService,
} from './support/start-service.ts'

const fake = { bytesPerToken: 1024 }
const request = { tokens: fakeTokens(1, 5 * 256 + 40), answerTokens: 8 }

interface Page {
  readonly data: readonly { readonly id: string }[]
}

/** A service that has computed the prompt, and the file of its prefix. */
async function exported() {
  const folder = createServiceFolder()
  const service = await folder.start(fakeFlags, fake)
  const answer = await complete(service.url, request)
  const { data } = (await service.get('/v1/cache/prefixes')) as Page
  const file = join(folder.path, 'one.prefixd')
  const id = data[0]?.id.slice(0, 8) ?? ''
  const ran = await prefixd(['export', id, '-o', file, '--url', service.url])
  expect(ran).toMatchObject({ exit: 0, out: expect.stringMatching(/^exported 1 prefix: /) })
  return { file, answer, id, service }
}

const importInto = ({ url }: TestService, ...words: readonly string[]) =>
  prefixd(['import', ...words, '--url', url])

test('a prefix that one service exports is a hit of another one at once, with the same answer', async () => {
  const { file, answer } = await exported()
  const folder = createServiceFolder()
  const service = await folder.start(fakeFlags, fake)

  const refused = await importInto(service, file)
  expect(refused).toMatchObject({ exit: 3, out: '' })
  expect(refused.err).toMatch(/signed with a key that is not known here: [\w-]{43}\./)
  expect(await service.get('/v1/cache/stats')).toMatchObject({ blocks: 0 })

  const trusted = await importInto(service, file, '--trust')
  expect(trusted).toMatchObject({ exit: 0, err: '' })
  expect(trusted.out).toMatch(/^imported \d+ records of fake/)
  const warm = await complete(service.url, request)
  expect(warm).toMatchObject({ text: answer.text, cachedTokens: request.tokens.length - 1 })

  // It is on the disk as well.
  await service.kill()
  const again = await complete((await folder.start(fakeFlags, fake)).url, request)
  expect(again).toMatchObject({ text: answer.text, tier: 'ssd' })
})

test('a signer whose name stands in trusted-signers needs no --trust', async () => {
  const { file } = await exported()
  const folder = createServiceFolder()
  const service = await folder.start(fakeFlags, fake)
  const [, name = ''] = /: ([\w-]{43})/.exec((await importInto(service, file)).err) ?? []
  writeFileSync(join(folder.data, 'trusted-signers'), `${name}  # the laptop\n`)
  expect(await importInto(service, file)).toMatchObject({ exit: 0 })
})

test('a service takes back its own file, and has all of it already', async () => {
  const { file, service } = await exported()
  const ran = await importInto(service, file)
  expect(ran.out).toMatch(/^imported 0 records of fake .*; \d+ records were there already\n$/)
})

test('another fingerprint is refused with exit code 6, and what differs is named', async () => {
  const { file } = await exported()
  const folder = createServiceFolder()
  const service = await folder.start(fakeFlags, { bytesPerToken: 1024, weightsSeed: 9 })
  const ran = await importInto(service, file, '--trust')
  expect(ran).toMatchObject({ exit: 6, out: '' })
  expect(ran.err).toMatch(/nearest is fake: \w+ is .* in the file and .* here/)
})

test('a damaged file is refused with exit code 5, and the frame named', async () => {
  const { file, answer } = await exported()
  const bytes = readFileSync(file)
  const at = Math.floor(bytes.length * 0.7)
  bytes[at] = (bytes[at] as number) ^ 1
  writeFileSync(file, bytes)
  const service = await createServiceFolder().start(fakeFlags, fake)
  const ran = await importInto(service, file, '--trust')
  expect(ran).toMatchObject({ exit: 5, out: '' })
  expect(ran.err).toMatch(/Frame \d+ of the file is damaged/)
  // What was whole before it is right.
  expect(await complete(service.url, request)).toMatchObject({ text: answer.text })
})

test('ids that name nothing, and files that are none, are refused', async () => {
  const { service, file } = await exported()
  const out = `${file}.other`
  const words = ['export', 'ffff', '-o', out, '--url', service.url]
  expect(await prefixd(words)).toMatchObject({ exit: 4, out: '' })
  expect((await service.get('/v1/cache/export?ids=')) as object).toMatchObject({
    error: { param: 'ids' },
  })
  expect(existsSync(`${out}.partial`)).toBe(false)
  expect(await importInto(service, '/nowhere/x.prefixd')).toMatchObject({ exit: 2, out: '' })
})

test.runIf(process.platform === 'linux')(
  'a file that the disk refuses in the midst is no damaged one: the error names it',
  async () => {
    const service = await createServiceFolder().start(fakeFlags, fake)
    // Its first bytes can be read by nobody.
    const ran = await importInto(service, '/proc/self/mem', '--trust')
    expect(ran).toMatchObject({ exit: 2, out: '' })
    expect(ran.err).toContain('/proc/self/mem could not be read: the disk refuses')
  },
)

test('a prompt that was warmed is a hit of the first request, and clear forgets it', async () => {
  const folder = createServiceFolder()
  const service = await folder.start(fakeFlags, fake)
  const file = join(folder.path, 'body.json')
  writeFileSync(file, JSON.stringify({ prompt: [...request.tokens] }))
  const ran = await prefixd(['warm', '--file', file, '--url', service.url])
  expect(ran).toMatchObject({ exit: 0, err: '' })
  const count = request.tokens.length.toLocaleString('en-US')
  expect(ran.out).toMatch(`body.json  ${count} computed, 0 restored, ${count} saved`)
  const warm = await complete(service.url, request)
  expect(warm.cachedTokens).toBe(request.tokens.length - 1)
  const cleared = await prefixd(['clear', '--yes', '--url', service.url])
  expect(cleared).toMatchObject({ exit: 0, out: expect.stringMatching(/^freed /) })
  expect(await service.get('/v1/cache/stats')).toMatchObject({ blocks: 0, requests: { total: 2 } })
  expect((await complete(service.url, request)).cachedTokens).toBe(0)
})

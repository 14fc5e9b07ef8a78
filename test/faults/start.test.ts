import { once } from 'node:events'
import { closeSync, existsSync, openSync, readSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { complete } from '../../bench/completions-client.ts'
import { defaultModelPath } from '../support/default-model.ts'
import { familyModelPath } from '../support/family-models.ts'
import { type GgufValue, writeGguf } from '../support/gguf-writer.ts'
import { createServiceFolder, fakeFlags, fakeTokens } from '../support/start-service.ts'

/** The first bytes of the real model: a download that ended too early. */
function firstBytes(count: number): Buffer {
  const bytes = Buffer.alloc(count)
  const fd = openSync(defaultModelPath(), 'r')
  readSync(fd, bytes, 0, count, 0)
  closeSync(fd)
  return bytes
}

/** What a start that must fail has said, its exit code included. */
async function refusal(start: Promise<unknown>): Promise<string> {
  return start.then(
    () => {
      throw new Error('the service started')
    },
    (error: Error) => error.message,
  )
}

test('a model of an unknown name is refused with what to do', async () => {
  const said = await refusal(createServiceFolder().start({ model: 'smollm9' }))
  expect(said).toContain('ended (exit code 4)')
  expect(said).toMatch(/error {2}.*smollm9/)
  expect(said).toMatch(/try {4}.*\w/)
})

test.each([
  ['that is something else', () => Buffer.from('<html>not found</html>')],
  ['that was cut in its weights', () => firstBytes(8 * 1024 ** 2)],
  ['that was cut in its header', () => firstBytes(4000)],
])('a model file %s is refused, and the file is named', async (_, content) => {
  const folder = createServiceFolder()
  const model = join(folder.path, 'broken.gguf')
  writeFileSync(model, content())
  const said = await refusal(folder.start({ model }))
  expect(said).toMatch(/ended \(exit code [14]\)/)
  expect(said).toMatch(/error {2}.*broken\.gguf/)
  expect(said).not.toContain('this is a bug')
})

test('a context that does not fit is refused before anything is loaded or written', async () => {
  const folder = createServiceFolder()
  const model = join(folder.path, 'wide.gguf')
  const metadata: Record<string, GgufValue> = {
    'general.architecture': { text: 'llama' },
    'llama.block_count': { u32: 1000 },
    'llama.context_length': { u32: 1_000_000 },
    'llama.embedding_length': { u32: 65_536 },
    'llama.attention.head_count': { u32: 64 },
  }
  writeGguf(model, metadata, [{ name: 'x', shape: [1], data: new Float32Array(1) }])
  const said = await refusal(folder.start({ model, ctx: '1000000' }))
  expect(said).toContain('ended (exit code 2)')
  expect(said).toMatch(/error {2}The memory of .* is too small/)
  expect(said).toMatch(/1 sequence of 1,000,000 tokens \d/)
  expect(existsSync(folder.data)).toBe(false)
})

test('settings that do not go together are refused by their names, not as a broken model', async () => {
  const model = familyModelPath('llama')
  const flags = { model, ctx: '1024', 'flash-attention': 'off', 'kv-type': 'q8_0' }
  const said = await refusal(createServiceFolder().start(flags))
  expect(said).toContain('ended (exit code 2)')
  expect(said).toMatch(/error {2}.*Set --flash-attention on, or --kv-type q8_0\/f16/)
  expect(said).toMatch(/try {4}change the settings that are named/)
})

test('a context that was asked for and is not to be had is a warning in the banner', async () => {
  const model = familyModelPath('mamba2')
  const { lines } = await createServiceFolder().start({ model, ctx: '1048576' })
  const [model_, cache, warning] = lines.slice(lines.findIndex((line) => line.startsWith('model')))
  expect([model_, cache]).toEqual([
    expect.stringContaining('8,192'),
    expect.stringMatching(/^cache/),
  ])
  expect(warning).toMatch(/^warn {3}the context is 8,192 tokens instead of 1,048,576: .*trained/)
})

test('a directory that cannot be written is refused, and named', async () => {
  const folder = createServiceFolder()
  const file = join(folder.path, 'file')
  writeFileSync(file, '')
  const said = await refusal(folder.start({ ...fakeFlags, dir: join(file, 'data') }))
  expect(said).toContain('ended (exit code 1)')
  expect(said).toMatch(/error {2}The directory .*file\/data cannot be used/)
  expect(said).toContain('--dir')
})

test('a port that is taken is refused, and another one is suggested', async () => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  const said = await refusal(createServiceFolder().start({ ...fakeFlags, port: String(port) }))
  expect(said).toContain('ended (exit code 1)')
  expect(said).toContain(`error  Port ${port} on 127.0.0.1 is taken.`)
  expect(said).toContain('--port 0')
})

test('a second service on the same directory is refused, and the first one goes on', async () => {
  const folder = createServiceFolder()
  const first = await folder.start()
  const request = { tokens: fakeTokens(1, 600), answerTokens: 4 }
  await complete(first.url, request)
  const said = await refusal(folder.start())
  expect(said).toContain('ended (exit code 1)')
  expect(said).toContain(`is in use by process ${first.pid}`)
  expect((await complete(first.url, request)).cachedTokens).toBe(599)
})

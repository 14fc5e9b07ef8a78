import {
  closeSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { defaultModelPath } from '../../support/default-model.ts'
import { openDefaultModel } from '../../support/llamacpp-model.ts'

const folder = mkdtempSync(join(tmpdir(), 'prefixd-model-files-'))
afterAll(() => rmSync(folder, { recursive: true }))

function written(name: string, bytes: Uint8Array): string {
  const path = join(folder, name)
  writeFileSync(path, bytes)
  return path
}

async function beginning(sizeBytes: number): Promise<Uint8Array> {
  const file = openSync(defaultModelPath(), 'r')
  const bytes = new Uint8Array(sizeBytes)
  readSync(file, bytes)
  closeSync(file)
  return bytes
}

/** A GGUF file with one piece of metadata, `general.architecture`, and no tensors. */
function ggufOf(architecture: string): Uint8Array {
  const key = Buffer.from('general.architecture')
  const value = Buffer.from(architecture)
  const u32 = (number: number) => Buffer.from(Uint32Array.of(number).buffer)
  const u64 = (number: number) => Buffer.from(BigUint64Array.of(BigInt(number)).buffer)
  const stringType = 8
  return Buffer.concat([
    Buffer.from('GGUF'),
    u32(3),
    u64(0),
    u64(1),
    u64(key.length),
    key,
    u32(stringType),
    u64(value.length),
    value,
  ])
}

test.each([
  ['a file that is not there', async () => join(folder, 'nowhere.gguf'), 'no such file'],
  ['a folder', async () => folder, 'not a file'],
  ['an empty file', async () => written('empty.gguf', new Uint8Array(0)), 'llama.cpp v0.'],
  ['another kind of file', async () => written('text.gguf', Buffer.from('Hello')), 'magic'],
  ['a file cut in its header', async () => written('head.gguf', await beginning(100_000)), ''],
  [
    'a file cut in its weights',
    async () => written('weights.gguf', await beginning(20_000_000)),
    'not within the file bounds',
  ],
  [
    'an architecture that llama.cpp does not know',
    async () => written('new.gguf', ggufOf('brandnew')),
    "unknown model architecture: 'brandnew'",
  ],
])('%s is refused with the reason', async (_, path, words) => {
  await expect(openDefaultModel({ modelPath: await path() })).rejects.toMatchObject({
    code: 'PREFIXD_E_ENGINE_MODEL',
    message: expect.stringContaining(words),
  })
})

test('a good file still loads after a broken one, from any path', async () => {
  const path = join(folder, 'ein Modell für Grüße.gguf')
  symlinkSync(resolve(defaultModelPath()), path)
  const model = await openDefaultModel({ modelPath: path, contextTokens: 256 })
  expect(model.info.fingerprint.architecture).toBe('llama')
  await model.close()
})

test('a context beyond the training is as long as the training, and says so', async () => {
  const model = await openDefaultModel({ contextTokens: 9000 })
  expect(model.info).toMatchObject({ contextTokens: 8192, trainedContextTokens: 8192 })
  await model.close()
})

test.each([
  ['half a token of context', { contextTokens: 0.5 }, 'contextTokens'],
  ['no threads', { threads: 0 }, 'threads'],
])('%s is refused by name', async (_, changes, words) => {
  await expect(openDefaultModel(changes)).rejects.toMatchObject({
    code: 'PREFIXD_E_ENGINE_MODEL',
    message: expect.stringContaining(words),
  })
})

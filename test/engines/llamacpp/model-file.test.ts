import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { loadFailureWords } from '../../../engines/llamacpp/load-failure.ts'
import { defaultModelPath } from '../../support/default-model.ts'
import { familyModelPath } from '../../support/family-models.ts'
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

/** The small llama with another name, as long as the old one, in its header. */
function renamed(name: string, other: string): Uint8Array {
  const bytes = readFileSync(familyModelPath('llama'))
  bytes.write(other, bytes.indexOf(name), 'latin1')
  return bytes
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
    'does not know its architecture, "brandnew". Use a newer prefixd',
  ],
  [
    'a known architecture without one of its tensors',
    async () => written('tensors.gguf', renamed('blk.1.attn_k.weight', 'blk.1.attn_x.weight')),
    "tensor 'blk.1.attn_k.weight' not found\". The file does not have what this build expects",
  ],
  [
    'a known architecture without a number that it needs',
    async () => written('numbers.gguf', renamed('llama.block_count', 'llama.block_cuunt')),
    'llama.block_count". The file does not have',
  ],
])('%s is refused with the reason', async (_, path, words) => {
  await expect(openDefaultModel({ modelPath: await path() })).rejects.toMatchObject({
    code: 'PREFIXD_E_ENGINE_MODEL',
    message: expect.stringContaining(words),
  })
})

test('memory is named only where nothing else is wrong with the file', async () => {
  const broken = openDefaultModel({ modelPath: written('new.gguf', ggufOf('brandnew')) })
  await expect(broken).rejects.not.toMatchObject({ message: expect.stringContaining('memory') })
  expect(loadFailureWords(null, 'v0.5.0')).toContain('do not fit into memory')
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
    code: 'PREFIXD_E_ENGINE_SETTINGS',
    message: expect.stringContaining(words),
  })
})

/** Vectors of real models; tiny ones, whose weights are noise. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, onTestFinished, test } from 'vitest'
import { loadModel } from '../../../engines/llamacpp/model.ts'
import type { EngineModel } from '../../../engines/types.ts'
import {
  embeddingContext,
  embeddingSize,
  type poolingTypes,
  writeBertEmbedder,
  writeLlamaEmbedder,
} from '../../support/embedding-model.ts'
import { maxDifference } from '../../support/llamacpp-model.ts'

const folder = mkdtempSync(join(tmpdir(), 'prefixd-embedding-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function open(write: (path: string) => void): Promise<EngineModel> {
  const path = join(folder, `${Math.random()}.gguf`)
  write(path)
  const options = {
    contextTokens: 0,
    sequences: 1,
    threads: 1,
    blockTokens: 32,
    reuse: 'token' as const,
  }
  const model = await loadModel({ ...options, modelPath: path, engine: {} }, () => {})
  onTestFinished(() => model.close())
  return model
}

const openLlama = (pooling: keyof typeof poolingTypes): Promise<EngineModel> =>
  open((path) => writeLlamaEmbedder(path, pooling))

const tokensOf = (length: number): Uint32Array =>
  Uint32Array.from({ length }, (_, at) => (at * 37 + 11) % 250)

test('pooling is what the file says: of every beginning’s last token the mean is made', async () => {
  const [mean, cls, last] = [
    await openLlama('mean'),
    await openLlama('cls'),
    await openLlama('last'),
  ]
  expect([mean, cls, last].map(({ info }) => info.embedding?.pooling)).toEqual([
    'mean',
    'cls',
    'last',
  ])
  const tokens = tokensOf(5)
  const lasts: Float32Array[] = []
  for (let end = 1; end <= tokens.length; end += 1) {
    lasts.push(await last.embed(tokens.subarray(0, end)))
  }
  const sum = Float32Array.from({ length: embeddingSize }, (_, at) =>
    lasts.reduce((total, each) => total + (each[at] ?? 0), 0),
  )
  expect(maxDifference(await mean.embed(tokens), sum)).toBeLessThan(1e-3)
  // A long text goes through in pieces, which must not be seen: here at token 512.
  const [shorter, longer] = [await mean.embed(tokensOf(512)), await mean.embed(tokensOf(513))]
  const added = longer.map((value, at) => value - (shorter[at] ?? 0))
  expect(maxDifference(await last.embed(tokensOf(513)), added)).toBeLessThan(1e-2)
  expect(maxDifference(await cls.embed(tokens), lasts[0] ?? sum)).toBeLessThan(1e-4)
})

test('a text has one vector, whatever was read before it, up to the whole context', async () => {
  const model = await openLlama('mean')
  expect(model.info).toMatchObject({
    generates: false,
    embedding: { size: embeddingSize },
    contextTokens: embeddingContext,
    layout: { kinds: [] },
  })
  const before = await model.embed(tokensOf(40))
  const long = await model.embed(tokensOf(embeddingContext))
  expect(long).toHaveLength(embeddingSize)
  expect(await model.embed(tokensOf(40))).toEqual(before)
  for (const length of [0, embeddingContext + 1]) {
    const code = 'PREFIXD_E_ENGINE_COMPUTE'
    await expect(model.embed(tokensOf(length))).rejects.toMatchObject({ code })
  }
  expect(() => model.openSequence()).toThrow('makes vectors')
})

test('an encoder sees what follows: its first token’s vector depends on the last one', async () => {
  const model = await open(writeBertEmbedder)
  expect(model.info.embedding).toEqual({ size: embeddingSize, pooling: 'cls' })
  const read = (text: string) => model.tokenize(text, { addSpecial: true, parseSpecial: false })
  const [first, other] = [await model.embed(read('abc')), await model.embed(read('abd'))]
  expect(maxDifference(first, other)).toBeGreaterThan(1e-3)
  expect(await model.embed(read('abc'))).toEqual(first)
})

test('a model without pooling writes text; one that only ranks is refused with the reason', async () => {
  const model = await openLlama('none')
  expect(model.info).toMatchObject({ generates: true, embedding: null })
  await expect(model.embed(tokensOf(3))).rejects.toThrow('no vectors')
  await expect(openLlama('rank')).rejects.toMatchObject({
    code: 'PREFIXD_E_ENGINE_MODEL',
    message: expect.stringContaining('pooling type 4'),
  })
})

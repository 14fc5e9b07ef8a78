/** Settings that change the bytes of records: what they do, and that nothing is shared across. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { namespaceOf } from '../../../cache/index.ts'
import type { EngineModel, WorkerOptions } from '../../../engines/types.ts'
import { writeAdapter } from '../../support/adapter-file.ts'
import { writeLlamaEmbedder } from '../../support/embedding-model.ts'
import { type FamilyName, familyModelPath } from '../../support/family-models.ts'
import { exportBoundary, exportOne, importAll, prefillCut } from '../../support/family-runs.ts'
import { openDefaultModel, proseTokens } from '../../support/llamacpp-model.ts'

type EngineSettings = WorkerOptions['engine']

const folder = mkdtempSync(join(tmpdir(), 'prefixd-settings-'))
const adapter = join(folder, 'style.gguf')
const other = join(folder, 'other: 2.gguf')
beforeAll(() => {
  writeAdapter(adapter, 3)
  writeAdapter(other, 4)
})
afterAll(() => rmSync(folder, { recursive: true }))

const blockTokens = 64
const promptTokens = 2 * blockTokens + 9

async function withModel<T>(
  family: FamilyName,
  engine: EngineSettings,
  use: (model: EngineModel) => Promise<T>,
  changes: Partial<WorkerOptions> = {},
): Promise<T> {
  const modelPath = familyModelPath(family)
  const model = await openDefaultModel({ modelPath, contextTokens: 512, engine, ...changes })
  try {
    return await use(model)
  } finally {
    await model.close()
  }
}

/** Logits of a prompt, computed cold and behind a restore of all but its last tokens. */
const coldAndWarm = (family: FamilyName, engine: EngineSettings) =>
  withModel(family, engine, async (model) => {
    const sequence = model.openSequence()
    const end = 2 * blockTokens
    const prompt = { tokens: proseTokens(model, promptTokens, 8), cuts: [], blockTokens }
    const records = [] as ReturnType<typeof exportBoundary>
    const cold = await prefillCut(sequence, prompt, (at) => {
      if (at === blockTokens) records.push(exportOne(sequence, 'kv', 0, at))
      if (at === end) records.push(...exportBoundary(model, sequence, at, blockTokens))
    })
    sequence.clear()
    importAll(sequence, records)
    expect(sequence.tokenCount).toBe(end)
    return { cold, warm: await prefillCut(sequence, prompt), info: model.info, records }
  })

describe('the types of keys and values', () => {
  it.each(['f16', 'bf16', 'q8_0', 'q5_1', 'q5_0', 'q4_1', 'q4_0', 'iq4_nl', 'q8_0/f16'])(
    'may be %s, and are restored bit by bit',
    async (kvType) => {
      const { cold, warm, info } = await coldAndWarm('llama', { kvType })
      expect(warm).toEqual(cold)
      expect(info.fingerprint.kvTypes).toBe(kvType.includes('/') ? kvType : `${kvType}/${kvType}`)
    },
  )

  it('make records smaller', async () => {
    const bytesOf = async (kvType: string) =>
      (await coldAndWarm('llama', { kvType })).info.layout.kvBytesPerToken
    const [f16, q8, q4] = [await bytesOf('f16'), await bytesOf('q8_0'), await bytesOf('q4_0')]
    expect(q8 / f16).toBeCloseTo(8.5 / 16, 1)
    expect(q4 / f16).toBeCloseTo(4.5 / 16, 1)
  })

  it('of another worker are refused by the engine too', async () => {
    const { records } = await coldAndWarm('llama', { kvType: 'q8_0' })
    await withModel('llama', { kvType: 'q8_0/f16' }, async (model) => {
      const sequence = model.openSequence()
      expect(() => importAll(sequence, records)).toThrow('cannot be restored')
      expect(sequence.tokenCount).toBe(0)
    })
  })

  it('are refused with the reason where they are unknown or do not fit', async () => {
    const refused = (engine: EngineSettings, changes: Partial<WorkerOptions> = {}) =>
      expect(withModel('llama', engine, async () => null, changes)).rejects
    await refused({ kvType: 'q3_k' }).toThrow('f16, bf16, q8_0')
    await refused({ kvType: 'q8_0/f16/f16' }).toThrow('one of')
    await refused({ flashAttention: 'maybe' }).toThrow('on, off or auto')
    const modelPath = join(folder, 'narrow.gguf')
    writeLlamaEmbedder(modelPath)
    const named = (words: string) => ({
      code: 'PREFIXD_E_ENGINE_SETTINGS',
      message: expect.stringContaining(words),
    })
    await refused({ kvType: 'q8_0', flashAttention: 'off' }).toMatchObject(
      named('Set --flash-attention on, or --kv-type q8_0/f16.'),
    )
    await refused({ kvType: 'q8_0' }, { modelPath }).toMatchObject(named('block size 32'))
  })
})

describe('without flash attention', () => {
  it.each(['llama', 'gemma3-128', 'gpt-oss', 'lfm2', 'lfm2-window', 'qwen35', 'mamba2'] as const)(
    '%s is restored bit by bit, from values that are stored transposed',
    async (family) => {
      const { cold, warm, info } = await coldAndWarm(family, { flashAttention: 'off' })
      expect(warm).toEqual(cold)
      if (family !== 'mamba2') expect(info.fingerprint.flashAttention).toBe(false)
    },
  )

  it('records are refused by a worker with it, and the other way round', async () => {
    const { records: transposed } = await coldAndWarm('llama', { flashAttention: 'off' })
    const { records } = await coldAndWarm('llama', { flashAttention: 'on' })
    const refusedBy = (flashAttention: string, foreign: typeof records) =>
      withModel('llama', { flashAttention }, async (model) => {
        expect(() => importAll(model.openSequence(), foreign)).toThrow('cannot be restored')
      })
    await refusedBy('on', transposed)
    await refusedBy('off', records)
  })

  it('is what the engine decides where it is left to it', async () => {
    const infoOf = (flashAttention: string) =>
      withModel('llama', { flashAttention }, async ({ info }) => info.fingerprint)
    expect(await infoOf('auto')).toEqual(await infoOf('on'))
  })
})

describe('adapters', () => {
  const logitsOf = (lora: string | null) =>
    withModel('llama', lora === null ? {} : { lora }, (model) => {
      const tokens = proseTokens(model, 20, 1)
      return prefillCut(model.openSequence(), { tokens, cuts: [], blockTokens })
    })

  it('change the answers by their scale, one after the other', async () => {
    const [bare, whole, half] = [
      await logitsOf(null),
      await logitsOf(adapter),
      await logitsOf(`${adapter}:0.5`),
    ]
    const both = await logitsOf(`${adapter}:0.5\n${other}:-1`)
    for (const each of [whole, half, both]) expect(each).not.toEqual(bare)
    expect(half).not.toEqual(whole)
    expect(both).not.toEqual(half)
    expect(await logitsOf(`${adapter}:0`)).toEqual(bare)
  })

  it('are restored with, bit by bit', async () => {
    const { cold, warm } = await coldAndWarm('llama', { lora: adapter })
    expect(warm).toEqual(cold)
  })

  it('are refused with the reason where they do not fit', async () => {
    const foreign = join(folder, 'foreign.gguf')
    writeAdapter(foreign, 5, 'qwen3')
    writeFileSync(join(folder, 'text.gguf'), 'no adapter')
    const refused = (lora: string) => expect(logitsOf(lora)).rejects
    await refused(join(folder, 'nowhere.gguf')).toThrow('ENOENT')
    await refused(foreign).toThrow('arch mismatch')
    await refused(join(folder, 'text.gguf')).toThrow('does not load')
    await refused(familyModelPath('llama')).toThrow("general.type to be 'adapter'")
  })
})

it('gives every setting a cache of its own', async () => {
  const moved = join(folder, 'moved.gguf')
  writeAdapter(moved, 3)
  const namespaceWith = (engine: EngineSettings, changes: Partial<WorkerOptions> = {}) =>
    withModel(
      'llama',
      engine,
      async ({ info: { fingerprint } }) =>
        namespaceOf({ fingerprint, weightsDigest: 'w', blockTokens, salt: '' }),
      changes,
    )
  const long = { contextTokens: 10_000 }
  const namespaces = [
    await namespaceWith({}),
    await namespaceWith({ kvType: 'bf16' }),
    await namespaceWith({ kvType: 'q8_0' }),
    await namespaceWith({ kvType: 'q8_0/f16' }),
    await namespaceWith({ kvType: 'f16/q8_0' }),
    await namespaceWith({ flashAttention: 'off' }),
    await namespaceWith({ lora: adapter }),
    await namespaceWith({ lora: `${adapter}:0.5` }),
    await namespaceWith({ lora: other }),
    await namespaceWith({ lora: `${adapter}\n${other}` }),
    await namespaceWith({ lora: `${other}\n${adapter}` }),
    await namespaceWith({ ropeScaling: 'yarn' }, long),
    await namespaceWith({ ropeScaling: 'linear' }, long),
  ]
  vi.stubEnv('LLAMA_ATTN_ROT_DISABLE', '1')
  namespaces.push(await namespaceWith({ kvType: 'q8_0' }))
  vi.unstubAllEnvs()
  expect(new Set(namespaces).size).toBe(namespaces.length)
  // A model without keys and values is the same in every type of them.
  const recurrent = (engine: EngineSettings) =>
    withModel('mamba2', engine, async ({ info: { fingerprint } }) => fingerprint)
  expect(await recurrent({ kvType: 'q8_0' })).toEqual(await recurrent({}))
  // The same differences under another name are the same.
  expect(await namespaceWith({ lora: moved })).toBe(namespaces[6])
  expect(await namespaceWith({ ropeScaling: 'yarn' })).toBe(namespaces[0])
})

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { contextBytes } from '../../src/models/context-bytes.ts'
import { parseGgufMetadata, readGgufMetadata } from '../../src/models/gguf-metadata.ts'
import { halfPrecision, type KvTypes, parseKvTypes } from '../../src/models/kv-types.ts'
import { memoryFigures } from '../../src/models/memory-figures.ts'
import { kvBytesPerToken, type ModelMemory, modelMemoryOf } from '../../src/models/model-memory.ts'
import { type GgufValue, writeGguf } from '../support/gguf-writer.ts'

const folder = mkdtempSync(join(tmpdir(), 'prefixd-headers-'))
afterAll(() => rmSync(folder, { recursive: true }))

type Keys = Readonly<Record<string, GgufValue>>

/** A file with a header and next to no weights; keys without the architecture in front. */
function written(architecture: string, keys: Keys): string {
  const path = join(folder, `${architecture}.gguf`)
  const own = Object.entries(keys).map(([key, value]) => [`${architecture}.${key}`, value])
  const metadata = {
    'general.architecture': { text: architecture },
    'tokenizer.ggml.tokens': { texts: Array.from({ length: 5000 }, (_, at) => `token ${at}`) },
    ...Object.fromEntries(own),
  }
  writeGguf(path, metadata, [{ name: 'x', shape: [1], data: new Float32Array(1) }])
  return path
}

async function memoryOf(architecture: string, keys: Keys): Promise<ModelMemory> {
  const memory = modelMemoryOf(await readGgufMetadata(written(architecture, keys)))
  if (memory === null) throw new Error('the header does not tell')
  return memory
}

/** Of a GGUF file, what MLX computes with. */
const nobodyAsks = () => Promise.reject(new Error('somebody asked'))

const u32 = (value: number): GgufValue => ({ u32: value })

const twelveLayers: Keys = {
  block_count: u32(12),
  context_length: u32(32_768),
  embedding_length: u32(512),
  feed_forward_length: u32(2048),
  'attention.head_count': u32(8),
  'attention.head_count_kv': u32(2),
}

describe('a model keeps, by the header of its file,', () => {
  it('keys and values of every layer', async () => {
    const memory = await memoryOf('llama', twelveLayers)
    expect(memory).toMatchObject({ kinds: ['kv'], layers: 12, trainedContextTokens: 32_768 })
    // Twelve layers, keys and values, two heads of 64, two bytes a number.
    expect(kvBytesPerToken(memory, halfPrecision)).toBe(12 * 2 * 2 * 64 * 2)
    expect(contextBytes(memory, 1024, halfPrecision)).toMatchObject({
      kept: 1024 * 12 * 2 * 2 * 64 * 2,
      exact: 0,
    })
  })

  it('as many as there are heads, where nothing is said of shared ones', async () => {
    const { 'attention.head_count_kv': _, ...keys } = twelveLayers
    const memory = await memoryOf('gpt2', keys)
    expect(kvBytesPerToken(memory, halfPrecision)).toBe(12 * 2 * 512 * 2)
  })

  it('heads of their own length, and of their own number in each layer', async () => {
    const memory = await memoryOf('llama', {
      ...twelveLayers,
      block_count: u32(3),
      'attention.head_count_kv': { i32s: [1, 2, 4] },
      'attention.key_length': u32(96),
      'attention.value_length': u32(32),
    })
    expect(kvBytesPerToken(memory, halfPrecision)).toBe((1 + 2 + 4) * (96 + 32) * 2)
  })

  it('fewer bytes of quantised ones', async () => {
    const memory = await memoryOf('llama', twelveLayers)
    const types = parseKvTypes('q8_0/f16') as KvTypes
    expect(kvBytesPerToken(memory, types)).toBe(12 * 2 * 64 * (34 / 32 + 2))
    expect(parseKvTypes('q9_0')).toBe(null)
  })

  it('only the last tokens in five of six layers of Gemma 3', async () => {
    const memory = await memoryOf('gemma3', {
      ...twelveLayers,
      'attention.sliding_window': u32(512),
    })
    const row = 2 * 2 * 64 * 2
    expect(memory).toMatchObject({ kinds: ['kv', 'window'], guess: null })
    expect(kvBytesPerToken(memory, halfPrecision)).toBe(2 * row)
    // The windows of the sequence and of the spare one, and what is computed at once.
    const exact = (2 * 512 + 512) * 10 * row
    const kept = 8192 * 2 * row + exact
    expect(contextBytes(memory, 8192, halfPrecision)).toMatchObject({ kept, exact })
    expect(contextBytes(memory, 256, halfPrecision).kept).toBe(256 * 12 * row)
  })

  it('in every layer all tokens, where it is not known which ones have a window', async () => {
    const memory = await memoryOf('brandnew', {
      ...twelveLayers,
      'attention.sliding_window': u32(512),
    })
    expect(memory).toMatchObject({
      kinds: ['kv'],
      guess:
        'The file does not say which of its 12 layers see only the last 512 tokens; ' +
        'all are counted whole.',
    })
    expect(kvBytesPerToken(memory, halfPrecision)).toBe(12 * 2 * 2 * 64 * 2)
  })

  it('no window that llama.cpp does not use', async () => {
    const memory = await memoryOf('phi3', { ...twelveLayers, 'attention.sliding_window': u32(512) })
    expect(memory.kinds).toEqual(['kv'])
  })

  it('a state in three of four layers of Qwen 3.5', async () => {
    const memory = await memoryOf('qwen35', {
      ...twelveLayers,
      'ssm.conv_kernel': u32(4),
      'ssm.inner_size': u32(512),
      'ssm.state_size': u32(64),
      'ssm.group_count': u32(4),
    })
    expect(memory.kinds).toEqual(['kv', 'state'])
    expect(kvBytesPerToken(memory, halfPrecision)).toBe(3 * 2 * 2 * 64 * 2)
    expect(memory.stateBytes).toBe(9 * 4 * (3 * (512 + 2 * 4 * 64) + 64 * 512))
  })

  it('a short convolution where LFM2 has no heads', async () => {
    const memory = await memoryOf('lfm2', {
      ...twelveLayers,
      block_count: u32(3),
      'attention.head_count_kv': { i32s: [0, 0, 2] },
      'shortconv.l_cache': u32(3),
    })
    expect(memory.kinds).toEqual(['kv', 'state'])
    expect(memory.stateBytes).toBe(2 * 4 * 512 * 2)
  })

  it('nothing of single tokens in Mamba', async () => {
    const memory = await memoryOf('mamba2', {
      ...twelveLayers,
      'ssm.conv_kernel': u32(4),
      'ssm.inner_size': u32(1024),
      'ssm.state_size': u32(64),
      'ssm.group_count': u32(1),
    })
    expect(memory.kinds).toEqual(['state'])
    const { kept } = contextBytes(memory, 32_768, halfPrecision)
    expect(kept).toBe(2 * memory.stateBytes)
  })

  it('nothing at all where it makes vectors', async () => {
    const memory = await memoryOf('bert', { ...twelveLayers, 'attention.causal': { bool: false } })
    expect(memory.kinds).toEqual([])
    expect(contextBytes(memory, 512, halfPrecision).kept).toBe(0)
  })
})

describe('the header of a model file', () => {
  it('is asked for more wherever it is cut, and never taken for whole', () => {
    const bytes = readFileSync(written('llama', twelveLayers))
    expect(parseGgufMetadata(bytes)).toMatchObject({ size: 7 })
    for (let length = 0; length < bytes.length - 200; length += 37) {
      expect(parseGgufMetadata(bytes.subarray(0, length)), `${length} bytes`).toBe('incomplete')
    }
  })

  it('is refused with its name where it ends too early or makes no sense', async () => {
    const bytes = readFileSync(written('llama', twelveLayers))
    const cut = join(folder, 'cut.gguf')
    writeFileSync(cut, bytes.subarray(0, 70_000))
    await expect(readGgufMetadata(cut)).rejects.toMatchObject({
      code: 'PREFIXD_E_MODEL_FILE',
      message: `${cut} is cut off in its metadata.`,
    })
    const odd = join(folder, 'odd.gguf')
    // The type of the first value.
    writeFileSync(odd, bytes.fill(99, 52, 53))
    await expect(readGgufMetadata(odd)).rejects.toMatchObject({
      message: `${odd} has metadata that makes no sense.`,
    })
    expect(await memoryFigures(odd, nobodyAsks)).toBe(null)
  })

  it('gives no figures where it does not even say how many layers there are', async () => {
    const shapeless = written('llama', { context_length: u32(8192) })
    expect(await memoryFigures(shapeless, nobodyAsks)).toBe(null)
    expect(await memoryFigures(join(folder, 'nowhere.gguf'), nobodyAsks)).toBe(null)
  })
})

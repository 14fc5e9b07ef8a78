import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { engineRooms, memoryFigures } from '../../src/models/index.ts'
import type { MlxComputer } from '../../src/models/mlx-numbers.ts'
import { mlxTrainedLength } from '../../src/models/mlx-trained-length.ts'
import { readMlxWeights } from '../../src/models/mlx-weights.ts'
import { gibibyte } from '../support/llama-memory.ts'
import { mlxConfig } from './mlx-files.ts'
import { createModelsFolder, type ModelsFolder, refusal } from './models-folder.ts'

let folder: ModelsFolder
beforeEach(() => {
  folder = createModelsFolder()
})
afterEach(() => folder.remove())

interface Tensor {
  readonly dtype: string
  readonly shape: readonly number[]
}

/** The header is all that is read of a file of weights. */
function headerOf(tensors: Readonly<Record<string, Tensor>>): Buffer {
  const text = JSON.stringify({ __metadata__: { format: 'mlx' }, ...tensors })
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(text.length))
  return Buffer.concat([length, Buffer.from(text)])
}

/** 4 bits in groups of 64, the embeddings 8 bits in groups of 32; a layer's own bias. */
const quantised: Readonly<Record<string, Tensor>> = {
  'model.embed_tokens.weight': { dtype: 'U32', shape: [1000, 64] },
  'model.embed_tokens.scales': { dtype: 'BF16', shape: [1000, 8] },
  'model.embed_tokens.biases': { dtype: 'BF16', shape: [1000, 8] },
  'model.layers.0.q_proj.weight': { dtype: 'U32', shape: [256, 32] },
  'model.layers.0.q_proj.scales': { dtype: 'BF16', shape: [256, 4] },
  'model.layers.0.q_proj.biases': { dtype: 'BF16', shape: [256, 4] },
  'model.layers.0.q_proj.bias': { dtype: 'BF16', shape: [256] },
  'model.norm.weight': { dtype: 'BF16', shape: [256] },
}
const settings = { bits: 4, group_size: 64, 'model.embed_tokens': { bits: 8, group_size: 32 } }
const numbers = 1000 * 256 + 256 * 256 + 256 + 256
const stored = 1000 * (64 * 4 + 2 * 8 * 2) + 256 * (32 * 4 + 2 * 4 * 2) + 256 * 2 + 256 * 2

function write(config: Readonly<Record<string, unknown>> = {}, weights = headerOf(quantised)) {
  const whole = { ...mlxConfig, quantization: settings, ...config }
  folder.write('models/tiny/config.json', JSON.stringify(whole))
  folder.write('models/tiny/model.safetensors', weights)
  folder.write('models/tiny/tokenizer.json', '{}')
  return join(folder.home, 'models/tiny')
}

const onBlas: MlxComputer = { device: 'cpu', hasBlas: true }
const onMetal: MlxComputer = { device: 'metal', hasBlas: false }

describe('the length that an MLX model was trained for', () => {
  const path = join(import.meta.dirname, '../engines/mlx/trained-lengths.json')
  const cases = JSON.parse(readFileSync(path, 'utf8')) as readonly {
    readonly of: string
    readonly config: Readonly<Record<string, unknown>>
    readonly tokens: number | null
  }[]

  it.each(cases)('follows from $of', ({ config, tokens }) => {
    expect(mlxTrainedLength(config)).toBe(tokens)
  })
})

describe('the weights of an MLX model', () => {
  const read = (weights?: Buffer) =>
    readMlxWeights(write({}, weights), {
      files: ['model.safetensors'],
      config: { quantization: settings },
    })

  it('take what their files have, or four bytes for each number that was packed', async () => {
    expect(await read()).toEqual({
      storedBytes: stored,
      float32Bytes: numbers * 4,
      computedBytes: 2,
    })
  })

  it.each([
    ['no length', Buffer.alloc(3)],
    ['a length of nothing', Buffer.alloc(100)],
    ['no JSON', Buffer.concat([Buffer.from([4, 0, 0, 0, 0, 0, 0, 0]), Buffer.from('{{{{')])],
    ['no shape', headerOf({ x: { dtype: 'F32' } as never })],
  ])('are refused by their name with %s', async (_, weights) => {
    const error = await refusal(read(weights), 'PREFIXD_E_MODEL_FILE')
    expect(error.message).toMatch(/^The weights .*model\.safetensors have (no|a damaged) header\.$/)
  })
})

describe('what an MLX model takes of the memory', () => {
  const figuresOf = (config: Record<string, unknown>, computer = onBlas) =>
    memoryFigures(write(config), async () => computer)
  // 4 layers, 2 heads of 256 ÷ 8 numbers, keys and values.
  const rows = 4 * 2 * 32 * 2

  it('follows from its config where all layers keep all tokens', async () => {
    expect(await figuresOf({})).toMatchObject({
      ...{ layers: 4, kinds: ['kv'], kvBytesPerToken: rows * 4, bytesAt8k: 8192 * rows * 4 },
    })
    expect((await figuresOf({ head_dim: 64 }))?.kvBytesPerToken).toBe(2 * rows * 4)
  })

  it('is in float32 on a CPU with OpenBLAS, and else in the type of its files', async () => {
    const bytesOn = async (computer: MlxComputer) =>
      (await figuresOf({}, computer))?.kvBytesPerToken
    expect(await bytesOn(onBlas)).toBe(rows * 4)
    expect(await bytesOn({ ...onBlas, hasBlas: false })).toBe(rows * 2)
    expect(await bytesOn(onMetal)).toBe(rows * 2)
  })

  it.each([
    ['another architecture', { model_type: 'mamba2' }],
    ['layers with windows', { layer_types: ['full_attention', 'sliding_attention'] }],
    ['no number of heads', { num_attention_heads: null }],
  ])('is left open with %s', async (_what, config) => {
    expect(await figuresOf(config)).toBeNull()
  })
})

describe('the room of an MLX model', () => {
  async function roomOf(
    flags: Readonly<Record<string, string>>,
    { memoryGiB = 16, mlx = onBlas, config = {} }: Partial<Given> = {},
  ) {
    const path = write(config)
    const totalBytes = memoryGiB * gibibyte
    const machine = { memoryBytes: totalBytes, cpuCount: 2 }
    const { config: settings } = loadConfig({
      flags: { ram: '64MiB', ...flags },
      around: folder.around(),
      machine,
    })
    const model = { id: 'tiny', engine: 'mlx', weights: { path, sizeBytes: 1 }, mlx } as const
    const memory = { totalBytes, availableBytes: totalBytes }
    const { placed, whys } = await engineRooms(settings, [model], memory)
    return { ...placed[0]?.room, why: whys.join() }
  }

  interface Given {
    readonly memoryGiB: number
    readonly mlx: MlxComputer
    readonly config: Readonly<Record<string, unknown>>
  }

  it('is refused with --lora for an adapter that cannot be read, not with the model', async () => {
    const error = await refusal(roomOf({ lora: '/nonexist' }), 'PREFIXD_E_MODEL_FILE')
    expect(error.message).toContain('weights of the adapter /nonexist/adapters.safetensors')
    expect([error.field, error.next]).toEqual(['--lora', expect.not.stringContaining('ull')])
  })

  it('is no longer than the training', async () => {
    expect(await roomOf({ ctx: '100000' })).toMatchObject({ contextTokens: 8192 })
    expect(await roomOf({ ctx: '4096' })).toMatchObject({ contextTokens: 4096, sequences: 4 })
  })

  it('is planned with weights and rows as they are computed with', async () => {
    const mebibytes = (bytes: number) => `${Number((bytes / 1024 ** 2).toPrecision(3))} MiB`
    const [float32, files] = [await roomOf({}), await roomOf({}, { mlx: onMetal })]
    expect(float32.why).toContain(`beside ${mebibytes(numbers * 4)} of weights`)
    expect(float32.why).toContain('(each 2 KiB a token)')
    expect(files.why).toContain('(each 1 KiB a token)')
    expect((await roomOf({ 'kv-type': 'q8_0' })).why).toContain('(each 576 B a token)')
    expect(files.engineBytes).toBeLessThan(float32.engineBytes ?? 0)
  })

  it('is refused where a context does not fit that was asked for', async () => {
    const large = { max_position_embeddings: 1_048_576, num_hidden_layers: 100 }
    const asked = roomOf({ ctx: '1000000' }, { memoryGiB: 8, config: large })
    const error = await refusal(asked, 'PREFIXD_E_MEMORY')
    expect(error.field).toBe('--ctx')
    expect(error.message).toContain('1 sequence of 1,000,000 tokens')
    const shorter = /--ctx (\d+)/.exec(error.next ?? '')?.[1] ?? ''
    const fitting = await roomOf({ ctx: shorter }, { memoryGiB: 8, config: large })
    expect(fitting.contextTokens).toBe(Number(shorter))
  })

  it('is left open for other architectures, and in the memory of a device', async () => {
    const unknown = await roomOf({}, { config: { model_type: 'mamba2' } })
    const device = await roomOf({}, { mlx: { device: 'cuda', hasBlas: false } })
    for (const room of [unknown, device]) {
      expect(room).toMatchObject({ contextTokens: 8192, sequences: 4, engineBytes: null })
    }
  })
})
